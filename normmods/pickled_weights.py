"""Pickling of modules whose weight is a torch parametrization.

torch gives such a module a class of its own, made while the program runs, which `pickle` cannot
find again; its `__getstate__` therefore raises. Here the class is made anew when the module is
loaded: the module's original class and the names of the parametrized tensors are enough for that.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import nn
from torch.nn.utils import parametrize


def make_picklable(module: nn.Module) -> None:
    """Make `pickle` and `torch.save` accept a parametrized `module` as a whole.

    Args:
        module: a module on which `torch.nn.utils.parametrize.register_parametrization` was called.
    """
    type(module).__reduce_ex__ = _reduce  # type: ignore[method-assign, assignment]


def _reduce(module: nn.Module, _protocol: Any) -> tuple[Any, ...]:
    """Return what `pickle` needs to rebuild the module: original class, names, state."""
    kind = parametrize.type_before_parametrizations(module)
    return _without_state, (kind, tuple(module.parametrizations)), module.__dict__  # type: ignore[arg-type]


def _without_state(kind: type[nn.Module], names: tuple[str, ...]) -> nn.Module:
    """Return a module of class `kind` with parametrized tensors `names`, without their state."""
    pattern = kind.__new__(kind)
    nn.Module.__init__(pattern)
    for name in names:
        pattern.register_parameter(name, nn.Parameter(torch.empty(0)))
        parametrize.register_parametrization(pattern, name, nn.Identity(), unsafe=True)
    make_picklable(pattern)
    made = type(pattern)
    module: nn.Module = made.__new__(made)
    return module
