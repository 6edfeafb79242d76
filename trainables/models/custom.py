"""A custom model, named `package.module:attr`: called as the built-in ones are, and checked.

    def net(*, in_channels, num_classes, norm, depth=2) -> nn.Module: ...

Parameters after the three arguments are the model's options. `norm(num_channels)` builds the norm
layer of the trial; the model maps `(B, in_channels, H, W)` to logits `(B, num_classes)`.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import replace
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from normmods.errors import NormError
from normmods.import_path import import_callable
from trainables.errors import Infeasible, describe_error
from trainables.options import complete_options
from trainables.spec import ModelSpec, NormSpec

if TYPE_CHECKING:
    from torch import Tensor, nn

    from trainables.models.layers import NormFactory

ARGUMENTS = ("in_channels", "num_classes", "norm")
"""The arguments that every custom model receives from the program."""


def complete_model_options(spec: ModelSpec) -> ModelSpec:
    """Return the spec with all options of a custom model; imports its module.

    Raises:
        ValueError: the module cannot be imported, the callable does not take `ARGUMENTS`, or an
            option is wrong.
    """
    options = complete_options(
        f"model {spec.name!r}", _import_model(spec.name), spec.options, ARGUMENTS
    )
    return replace(spec, options=options)


def build_custom_model(
    spec: ModelSpec, *, in_channels: int, num_classes: int, norm: NormFactory
) -> nn.Module:
    """Return the model that the user's callable builds.

    Raises:
        Infeasible: the callable returns no `nn.Module`.
    """
    from torch import nn

    try:
        with warnings.catch_warnings():
            # Of pretrained weights, where the model is only tried on the meta device.
            warnings.filterwarnings("ignore", message=".*copying from a non-meta parameter")
            model = _import_model(spec.name)(
                in_channels=in_channels, num_classes=num_classes, norm=norm, **spec.options
            )
    except (NormError, Infeasible):  # the layer's, which name it
        raise
    except Exception as error:
        # torch names the class of `norm` where a model adds `norm` itself as a layer.
        is_norm_itself = isinstance(error, TypeError) and type(norm).__name__ in str(error)
        hint = "; norm is no layer: call norm(num_channels)" if is_norm_itself else ""
        raise Infeasible(
            f"model {spec.name!r} cannot be built for in_channels={in_channels} and "
            f"num_classes={num_classes}: {describe_error(error)}{hint}"
        ) from error
    if not isinstance(model, nn.Module):
        raise Infeasible(
            f"model {spec.name!r}: expected a torch.nn.Module, found {type(model).__name__}"
        )
    return model


def require_norms(spec: ModelSpec, model: nn.Module, built: list[nn.Module]) -> None:
    """Raise `Infeasible` for a model without a layer of the norm, which would ignore the norm."""
    inside = set(model.modules())
    if not any(layer in inside for layer in built):
        raise Infeasible(
            f"model {spec.name!r} has no norm in it: build each of its normalization layers with "
            f"norm(num_channels), and keep it as a submodule"
        )


def require_called(spec: ModelSpec, uncalled: list[str], *, num_norms: int) -> None:
    """Raise `Infeasible` for a model that calls none of its `num_norms` layers of the norm."""
    if len(uncalled) == num_norms:
        few = ", ".join(uncalled[:5]) + (", …" if len(uncalled) > 5 else "")
        raise Infeasible(
            f"model {spec.name!r} never calls {few}: all norms would be one network; call each "
            f"layer that norm(num_channels) builds in the model's forward"
        )


def require_sizes(spec: ModelSpec, model: nn.Module) -> None:
    """Raise `Infeasible` for a layer whose parameters have no shape before its first input."""
    from normmods.parameters import find_lazy_tensor

    if name := find_lazy_tensor(model):
        raise Infeasible(
            f"model {spec.name!r} has a lazy layer: {name} has no shape before a first batch; "
            f"build the layer with its number of inputs"
        )


def require_logits(spec: ModelSpec, logits: Any, batch_size: int, num_classes: int) -> None:
    """Raise `Infeasible` unless `logits` are floating-point, `(batch_size, num_classes)`."""
    import torch

    wanted = f"logits of shape {(batch_size, num_classes)} for {batch_size} images"
    if not isinstance(logits, torch.Tensor):
        found = type(logits).__name__
    elif tuple(logits.shape) != (batch_size, num_classes):
        found = f"shape {tuple(logits.shape)}"
    elif not logits.is_floating_point():
        found = f"{logits.dtype}"
    else:
        return
    raise Infeasible(f"model {spec.name!r} returns {found}; expected {wanted}")


@lru_cache
def require_repeatable_weights(spec: ModelSpec, in_channels: int, num_classes: int) -> None:
    """Raise `Infeasible` if two models built with one seed have different initial weights.

    Trials would neither pair by seed nor continue from a checkpoint to the same bits.
    """
    first, second = (_initial_weights(spec, in_channels, num_classes) for _ in range(2))
    if first.keys() != second.keys():
        raise Infeasible(f"model {spec.name!r} has other layers each time that it is built")
    for name, values in first.items():
        if values.shape != second[name].shape or values.tobytes() != second[name].tobytes():
            raise Infeasible(
                f"model {spec.name!r} has other initial values in {name} each time that it is "
                f"built with one seed: draw them with torch, from its global generator"
            )


def _initial_weights(spec: ModelSpec, in_channels: int, num_classes: int) -> dict[str, Any]:
    """Return the initial state of the model with batch normalization and seed 0, by name."""
    from trainables.models.initialise import set_initial_weights
    from trainables.norms import SeededNorms
    from trainables.seeding import SeededGlobalRng

    norms = SeededNorms(NormSpec(name="batchnorm"), seed=0)
    with SeededGlobalRng(0, "init"):
        model = build_custom_model(
            spec, in_channels=in_channels, num_classes=num_classes, norm=norms
        )
    set_initial_weights(spec, model, norms=norms.built, seed=0)
    values: dict[str, Tensor] = model.state_dict()
    return {name: value.detach().cpu().numpy() for name, value in values.items()}


def _import_model(name: str) -> Callable[..., Any]:
    """Return the callable that the name refers to; imports its module."""
    return import_callable(
        name,
        label=f"model {name!r}",
        wanted=f"that takes {', '.join(ARGUMENTS)} and returns a torch.nn.Module",
    )
