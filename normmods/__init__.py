"""Normalization layers for 4-D inputs, by name; torch is imported when a layer is."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from normmods.errors import NormError
from normmods.registry import REQUIRED, build, complete_options, load, names, options

if TYPE_CHECKING:
    from normmods.assoc import AssocNorm
    from normmods.batch import BatchNorm
    from normmods.group import GroupNorm, InstanceNorm, LayerNorm
    from normmods.population import eval_choices, recompute_precise, using_eval_statistics
    from normmods.renorm import BatchRenorm, RenormDebias

__all__ = [
    "REQUIRED",
    "AssocNorm",
    "BatchNorm",
    "BatchRenorm",
    "GroupNorm",
    "InstanceNorm",
    "LayerNorm",
    "NormError",
    "RenormDebias",
    "build",
    "complete_options",
    "eval_choices",
    "load",
    "names",
    "options",
    "recompute_precise",
    "using_eval_statistics",
]

_HOMES = {
    "AssocNorm": "assoc",
    "BatchNorm": "batch",
    "BatchRenorm": "renorm",
    "GroupNorm": "group",
    "InstanceNorm": "group",
    "LayerNorm": "group",
    "RenormDebias": "renorm",
    "eval_choices": "population",
    "recompute_precise": "population",
    "using_eval_statistics": "population",
}


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(importlib.import_module(f"normmods.{_HOMES[name]}"), name)
    raise AttributeError(f"module 'normmods' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
