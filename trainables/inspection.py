"""What the author of a model would want to know before it is trained, and is no mistake."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import nn

import normmods
from trainables.data.lookup import dataset_info
from trainables.dry_run import DryRun
from trainables.feasibility import dry_run_device
from trainables.models.build import build_model, prepare_convolutions
from trainables.norms import SeededNorms
from trainables.seeding import SeededGlobalRng
from trainables.spec import NormSpec, TrialSpec, is_custom

_NORMS = (
    nn.modules.batchnorm._NormBase,
    *(nn.GroupNorm, nn.LayerNorm, nn.RMSNorm, nn.LocalResponseNorm, normmods.Norm),
)


def inspect(spec: TrialSpec) -> list[str]:
    """A line for each peculiarity of a user's own model with the spec's norm in it.

    Named with their paths: normalization layers that `norm(num_channels)` did not build, layers
    that it built and the model does not call, parameters whose initial values depend on the norm,
    and convolutions that a norm asks for other weights and that keep theirs. None for a built-in
    model, and for a cell that cannot run.
    """
    if not is_custom(spec.model.name):
        return []
    for device in (dry_run_device(spec), torch.device("cpu")):
        try:
            return _inspect(spec, device)
        except Exception:  # the cell's own check says what is wrong, or tries the CPU too
            continue
    return []


def _inspect(spec: TrialSpec, device: torch.device) -> list[str]:
    data, norms = dataset_info(spec.data), SeededNorms(spec.norm, seed=spec.seed)
    with SeededGlobalRng(spec.seed, "init"), torch.no_grad():
        with device:
            model = build_model(
                spec.model, in_channels=data.shape[0], num_classes=data.num_classes, norm=norms
            )
        kept = prepare_convolutions(model, data.shape)
        run = DryRun(model, norms.built, spec, device)
        for is_training in (True, False):
            run.forward((spec.batch_size, *data.shape), is_training=is_training)
    named = f"model {spec.model.name!r}"
    found = [f"{path} ({type(x).__name__})" for path, x in foreign_norms(model, norms.built)]
    lines = []
    if found:
        lines.append(
            f"{named}: {_few(found)} {_was(found)} not built with norm(num_channels), and "
            f"stay{'s' * (len(found) == 1)} the same whatever the norm"
        )
    if uncalled := run.uncalled():
        lines.append(
            f"{named}: {_few(uncalled)} {_was(uncalled)} built with norm(num_channels) and never "
            f"called"
        )
    if moved := _moved_by_the_norm(spec):
        lines.append(
            f"{named} with {spec.norm.name}: a seed gives {_few(moved)} other initial values than "
            f"with batchnorm, so that seeds do not pair these norms; draw them without walking "
            f"through the norm's own layers"
        )
    return [*lines, *(f"{named} with {spec.norm.name}: {line}" for line in kept)]


def _moved_by_the_norm(spec: TrialSpec) -> list[str]:
    """Parameters that the norm does not own and whose initial values depend on it."""
    if spec.model.initial_weights != "own":
        return []
    ours, others = (_initial_values(spec, norm) for norm in (spec.norm, NormSpec(name="batchnorm")))
    return [
        name
        for name, value in ours.items()
        if name in others and not torch.equal(value, others[name])
    ]


def _initial_values(spec: TrialSpec, norm: NormSpec) -> dict[str, torch.Tensor]:
    data, norms = dataset_info(spec.data), SeededNorms(norm, seed=spec.seed)
    with SeededGlobalRng(spec.seed, "init"):
        model = build_model(
            spec.model, in_channels=data.shape[0], num_classes=data.num_classes, norm=norms
        )
    in_norms = {id(parameter) for layer in norms.built for parameter in layer.parameters()}
    return {
        name: parameter.detach()
        for name, parameter in model.named_parameters()
        if id(parameter) not in in_norms
    }


def foreign_norms(model: nn.Module, built: Iterable[nn.Module]) -> list[tuple[str, nn.Module]]:
    """Normalization layers, with their paths, that are neither among `built` nor inside them.

    They are torch's, this program's, and layers without parts whose class is called a norm.
    """
    inside = {part for norm in built for part in norm.modules()}
    return [
        (path, layer)
        for path, layer in model.named_modules()
        if layer not in inside
        and "parametrizations" not in path.split(".")
        and (isinstance(layer, _NORMS) or _is_called_a_norm(layer))
    ]


def _is_called_a_norm(layer: nn.Module) -> bool:
    return "norm" in type(layer).__name__.lower() and not any(True for _ in layer.children())


def _few(names: list[str]) -> str:
    return ", ".join(names[:8]) + (f" and {len(names) - 8} more" if len(names) > 8 else "")


def _was(names: list[str]) -> str:
    return "was" if len(names) == 1 else "were"
