"""Orchestration: a grid becomes trials on Ray Tune, records and MLflow runs."""

from __future__ import annotations

import importlib

TYPE_CHECKING = False  # `typing` is loaded later: see `sweep.process.import_order`
if TYPE_CHECKING:
    from typing import Any

    from sweep.grid.model import load_grid

__all__ = ["load_grid"]


def __getattr__(name: str) -> Any:
    if name == "load_grid":
        importlib.import_module("sweep.process.logs")  # no log message is printed by itself
        return importlib.import_module("sweep.grid.model").load_grid
    raise AttributeError(f"module 'sweep' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
