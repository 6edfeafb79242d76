"""Normalization layers for inputs (B, C, H, W), with a registry of their names and options.

    >>> import normmods
    >>> layer = normmods.build("groupnorm", 64, num_groups=8)
    >>> layer(torch.randn(2, 64, 16, 16)).shape
    torch.Size([2, 64, 16, 16])

torch is imported when a layer is first used.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from normmods.errors import NormError
from normmods.registry import (
    REQUIRED,
    build,
    complete_options,
    load,
    names,
    options,
    recorded_options,
)

if TYPE_CHECKING:
    from normmods.assoc import AssocNorm
    from normmods.batch import BatchNorm
    from normmods.batch_channel import BatchChannelNorm
    from normmods.contract import NormReport, check_norm
    from normmods.dynamic_tanh import DynamicTanh
    from normmods.evonorm import EvoNormB0, EvoNormS0
    from normmods.filter_response import FilterResponseNorm
    from normmods.ghost import GhostBatchNorm
    from normmods.group import GroupNorm, InstanceNorm, LayerNorm
    from normmods.mabn import MovingAverageBatchNorm
    from normmods.norm import Norm
    from normmods.parameters import added_parameters
    from normmods.population import eval_choices, recompute_precise, using_eval_statistics
    from normmods.renorm import BatchRenorm, RenormDebias
    from normmods.switchable import SwitchableNorm
    from normmods.weight_forms import GroupNormWS, prepare

__all__ = [
    "REQUIRED",
    "AssocNorm",
    "BatchChannelNorm",
    "BatchNorm",
    "BatchRenorm",
    "DynamicTanh",
    "EvoNormB0",
    "EvoNormS0",
    "FilterResponseNorm",
    "GhostBatchNorm",
    "GroupNorm",
    "GroupNormWS",
    "InstanceNorm",
    "LayerNorm",
    "MovingAverageBatchNorm",
    "Norm",
    "NormError",
    "NormReport",
    "RenormDebias",
    "SwitchableNorm",
    "added_parameters",
    "build",
    "check_norm",
    "complete_options",
    "eval_choices",
    "load",
    "names",
    "options",
    "prepare",
    "recompute_precise",
    "recorded_options",
    "using_eval_statistics",
]

_HOMES = {
    "AssocNorm": "assoc",
    "BatchChannelNorm": "batch_channel",
    "BatchNorm": "batch",
    "BatchRenorm": "renorm",
    "DynamicTanh": "dynamic_tanh",
    "EvoNormB0": "evonorm",
    "EvoNormS0": "evonorm",
    "FilterResponseNorm": "filter_response",
    "GhostBatchNorm": "ghost",
    "GroupNorm": "group",
    "GroupNormWS": "weight_forms",
    "InstanceNorm": "group",
    "LayerNorm": "group",
    "MovingAverageBatchNorm": "mabn",
    "Norm": "norm",
    "RenormDebias": "renorm",
    "SwitchableNorm": "switchable",
    "NormReport": "contract",
    "added_parameters": "parameters",
    "check_norm": "contract",
    "eval_choices": "population",
    "prepare": "weight_forms",
    "recompute_precise": "population",
    "using_eval_statistics": "population",
}


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(importlib.import_module(f"normmods.{_HOMES[name]}"), name)
    raise AttributeError(f"module 'normmods' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
