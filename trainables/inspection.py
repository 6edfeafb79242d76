"""Warnings about a custom model that is valid but probably not what its author meant."""

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
from trainables.seeding import SeededGlobalRng, derive_stream_seed
from trainables.spec import NormSpec, TrialSpec, is_custom

_NORMS = (
    nn.modules.batchnorm._NormBase,
    *(nn.GroupNorm, nn.LayerNorm, nn.RMSNorm, nn.LocalResponseNorm, normmods.Norm),
)


def find_model_warnings(spec: TrialSpec) -> list[str]:
    """Return a line for each suspicious property of a custom model built with the spec's norm.

    Reported with their paths are normalization layers that `norm(num_channels)` did not build,
    layers that it built and the model never calls, parameters whose initial values depend on the
    norm, and convolutions that keep their weights although a norm asks for other ones.

    Returns no line for a built-in model, and for a cell that cannot run.
    """
    if not is_custom(spec.model.name):
        return []
    for device in (dry_run_device(spec), torch.device("cpu")):
        try:
            return _find_model_warnings(spec, device)
        except Exception:  # the cell's own check says what is wrong, or tries the CPU too
            continue
    return []


def _find_model_warnings(spec: TrialSpec, device: torch.device) -> list[str]:
    """Return the lines of `find_model_warnings` from runs of the model on `device`."""
    data, seed = dataset_info(spec.data), derive_stream_seed(spec)
    norms = SeededNorms(spec.norm, seed=seed)
    with SeededGlobalRng(seed, "init"), torch.no_grad():
        with device:
            model = build_model(
                spec.model, in_channels=data.shape[0], num_classes=data.num_classes, norm=norms
            )
        kept = prepare_convolutions(model, data.shape)
        run = DryRun(model, norms.built, spec, device)
        for is_training in (True, False):
            run.forward((spec.batch_size, *data.shape), is_training=is_training)
    named = f"model {spec.model.name!r}"
    found = [f"{path} ({type(x).__name__})" for path, x in find_foreign_norms(model, norms.built)]
    lines = []
    if found:
        lines.append(
            f"{named}: {_abbreviate(found)} {_was_or_were(found)} "
            f"not built with norm(num_channels), and "
            f"stay{'s' * (len(found) == 1)} the same whatever the norm"
        )
    if uncalled := run.uncalled_norms():
        lines.append(
            f"{named}: {_abbreviate(uncalled)} {_was_or_were(uncalled)} "
            f"built with norm(num_channels) and never "
            f"called"
        )
    if moved := _parameters_changed_by_norm(spec):
        lines.append(
            f"{named} with {spec.norm.name}: a seed gives "
            f"{_abbreviate(moved)} other initial values than "
            f"with batchnorm, so that seeds do not pair these norms; draw them without walking "
            f"through the norm's own layers"
        )
    return [*lines, *(f"{named} with {spec.norm.name}: {line}" for line in kept)]


def _parameters_changed_by_norm(spec: TrialSpec) -> list[str]:
    """Return the parameters outside the norms whose initial values depend on the norm."""
    if spec.model.initial_weights != "own":
        return []
    ours, others = (_initial_values(spec, norm) for norm in (spec.norm, NormSpec(name="batchnorm")))
    return [
        name
        for name, value in ours.items()
        if name in others and not torch.equal(value, others[name])
    ]


def _initial_values(spec: TrialSpec, norm: NormSpec) -> dict[str, torch.Tensor]:
    """Return the initial values of the parameters outside the norms, by name."""
    data, seed = dataset_info(spec.data), derive_stream_seed(spec)
    norms = SeededNorms(norm, seed=seed)
    with SeededGlobalRng(seed, "init"):
        model = build_model(
            spec.model, in_channels=data.shape[0], num_classes=data.num_classes, norm=norms
        )
    in_norms = {id(parameter) for layer in norms.built for parameter in layer.parameters()}
    return {
        name: parameter.detach()
        for name, parameter in model.named_parameters()
        if id(parameter) not in in_norms
    }


def find_foreign_norms(model: nn.Module, built: Iterable[nn.Module]) -> list[tuple[str, nn.Module]]:
    """Return (path, layer) of the normalization layers that are not in `built` nor inside these.

    These are the norms of torch and of this program, and layers without children whose class name
    contains "norm".
    """
    inside = {part for norm in built for part in norm.modules()}
    return [
        (path, layer)
        for path, layer in model.named_modules()
        if layer not in inside
        and "parametrizations" not in path.split(".")
        and (isinstance(layer, _NORMS) or _is_named_norm(layer))
    ]


def _is_named_norm(layer: nn.Module) -> bool:
    """Whether the layer has no children and a class name that contains "norm"."""
    return "norm" in type(layer).__name__.lower() and not any(True for _ in layer.children())


def _abbreviate(names: list[str]) -> str:
    """Return at most 8 names separated by commas, followed by the number of further names."""
    return ", ".join(names[:8]) + (f" and {len(names) - 8} more" if len(names) > 8 else "")


def _was_or_were(names: list[str]) -> str:
    """Return `was` for one name, else `were`."""
    return "was" if len(names) == 1 else "were"
