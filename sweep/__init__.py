"""Orchestration: a grid becomes trials on Ray Tune, records and MLflow runs.

The Python interface. Nothing is imported before a name is used, and nothing is printed:

    import sweep

    grid = sweep.load_grid("grid.yaml")
    result = sweep.run(grid, on_event=sweep.notebook_progress())
    print(result.num_trained, "trials trained; records in", result.records)
"""

from __future__ import annotations

import importlib

TYPE_CHECKING = False  # `typing` is loaded later: see `sweep.process.import_order`
if TYPE_CHECKING:
    from typing import Any

    from sweep.display.observer import live_display, notebook_progress
    from sweep.errors import (
        GridError,
        NotStartedError,
        Problem,
        RefusedError,
        StorageError,
        SweepError,
    )
    from sweep.grid.model import Grid
    from sweep.interface import load_grid, plan, reproduce, status, sync
    from sweep.pipeline import rehearse, run
    from sweep.records.record import RecordDamagedError
    from sweep.results import (
        Rehearsal,
        Reproduction,
        RunResult,
        SweepPlan,
        SweepStatus,
        SyncResult,
        TrialSummary,
    )

__all__ = [
    "Grid",
    "GridError",
    "NotStartedError",
    "Problem",
    "RecordDamagedError",
    "RefusedError",
    "Rehearsal",
    "Reproduction",
    "RunResult",
    "StorageError",
    "SweepError",
    "SweepPlan",
    "SweepStatus",
    "SyncResult",
    "TrialSummary",
    "live_display",
    "load_grid",
    "notebook_progress",
    "plan",
    "rehearse",
    "reproduce",
    "run",
    "status",
    "sync",
]

_MODULES = {
    "sweep.display.observer": ("live_display", "notebook_progress"),
    "sweep.errors": (
        *("GridError", "NotStartedError", "Problem", "RefusedError", "StorageError"),
        "SweepError",
    ),
    "sweep.grid.model": ("Grid",),
    "sweep.interface": ("load_grid", "plan", "reproduce", "status", "sync"),
    "sweep.pipeline": ("rehearse", "run"),
    "sweep.records.record": ("RecordDamagedError",),
    "sweep.results": (
        *("Rehearsal", "Reproduction", "RunResult", "SweepPlan", "SweepStatus", "SyncResult"),
        "TrialSummary",
    ),
}


def __getattr__(name: str) -> Any:
    for module, names in _MODULES.items():
        if name in names:
            importlib.import_module("sweep.process.logs")  # no log message is printed by itself
            return getattr(importlib.import_module(module), name)
    raise AttributeError(f"module 'sweep' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
