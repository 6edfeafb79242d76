"""Orchestration: a grid becomes trials on Ray Tune, records and MLflow runs."""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sweep.grid.layout import load_grid

__all__ = ["load_grid"]


def __getattr__(name: str) -> Any:
    if name == "load_grid":
        return importlib.import_module("sweep.grid.layout").load_grid
    raise AttributeError(f"module 'sweep' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
