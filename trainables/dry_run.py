"""Trial runs of a model on one batch of ones, which find layers that refuse their input."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn

from normmods.norm import Norm
from trainables.calls import CallRecorder, record_calls
from trainables.errors import Infeasible, describe_error
from trainables.observe import tensor_to_watch
from trainables.spec import TrialSpec


class DryRun:
    """A model to be run on batches of ones, with its layers' calls recorded down to the norms.

    The layers inside a norm are not recorded, nor are parametrizations, which make weights and
    receive no input.

    Attributes:
        layers: the layers whose calls are recorded, by path.
        norms: paths of the recorded layers that the norm's factory built.
        calls: the record of the calls.
    """

    def __init__(
        self, model: nn.Module, norms: list[nn.Module], spec: TrialSpec, device: torch.device
    ) -> None:
        self.model, self.spec, self.device = model, spec, device
        watch = spec.train.watch
        inside = {layer for norm in norms for layer in norm.modules() if layer is not norm}
        self.layers = {
            path: layer
            for path, layer in model.named_modules()
            if path == watch or (layer not in inside and "parametrizations" not in path.split("."))
        }
        self.norms = [path for path, layer in self.layers.items() if layer in norms]
        self.calls = CallRecorder(keep_outputs=frozenset(() if watch is None else (watch,)))

    @torch.no_grad()
    def forward(self, shape: tuple[int, ...], *, is_training: bool) -> object:
        """Return the model's output for a batch of ones of `shape`.

        Raises:
            Infeasible: a layer, which is named, failed.
        """
        self.model.train(is_training)
        self.calls.failure = None
        try:
            with record_calls(self.layers, self.calls):
                return self.model(torch.ones(shape, device=self.device))
        except Exception as error:
            at = self.calls.failure
            path, layer = (at.path, at.layer) if at else ("", self.model)
            misfit = _describe_size_mismatch(layer, at.shape if at else None, images=shape)
            if misfit is not None:
                raise Infeasible(f"{path or 'the model'} {misfit}") from error
            of = tuple(shape if at is None or at.shape is None else at.shape)
            raise Infeasible(
                f"{path or 'the model'} ({type(layer).__name__}) cannot take an input of shape "
                f"{of} in {'training' if is_training else 'testing'}: {describe_error(error)}"
            ) from error

    def uncalled_norms(self) -> list[str]:
        """Return the paths of the norms that no run so far has called."""
        return [path for path in self.norms if path not in self.calls.called]

    def require_watched(self) -> None:
        """Raise `ValueError` if the layer of `watch` was never called or returned no tensor."""
        path = self.spec.train.watch
        if path is None:
            return
        if path not in self.calls.outputs:
            raise ValueError(
                f"`watch` must name a layer that the model calls, but got watch={path!r}, which "
                "it never calls"
            )
        tensor_to_watch(path, self.calls.outputs[path])


_SIZED_LAYERS: tuple[tuple[type[nn.Module], str, int, str], ...] = (
    (nn.modules.conv._ConvNd, "in_channels", 1, "channels"),
    (nn.Linear, "in_features", -1, "features"),
    (nn.modules.batchnorm._NormBase, "num_features", 1, "channels"),
    (nn.GroupNorm, "num_channels", 1, "channels"),
)
"""Layers built for a size of their input: the attribute with the size, the dimension of the input
that must have this size, and what the size counts."""


def _describe_size_mismatch(
    layer: nn.Module, shape: Sequence[int] | None, *, images: tuple[int, ...]
) -> str | None:
    """Return `(Conv2d) expects 3 channels and got 1: …` if the layer is built for another size.

    Returns None if the sizes agree or the layer is of another kind. `images` is the shape of the
    model's input, for which the message names `in_channels`.
    """
    if isinstance(layer, Norm):
        return None  # says itself what it takes, and has no `num_features` to read
    for kind, attribute, dimension, counted in _SIZED_LAYERS:
        if isinstance(layer, kind) and shape is not None and len(shape) >= 2:
            expected, found = getattr(layer, attribute), shape[dimension]
            if isinstance(layer, nn.modules.conv._ConvNd) and len(shape) != layer.weight.dim():
                return None  # the shape is wrong in another way
            if expected != found:
                is_image = tuple(shape) == images and dimension == 1
                stated = "with `in_channels`" if is_image else f"for {found} {counted}"
                got = f"expects {expected} {counted} and got {found}"
                return f"({type(layer).__name__}) {got}: build the layer {stated}"
    return None
