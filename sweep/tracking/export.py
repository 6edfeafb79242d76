"""Bring MLflow up to all records of a grid, once."""

from __future__ import annotations

import itertools
import logging
import time
from collections.abc import Callable
from dataclasses import dataclass

from sweep.grid.model import Grid
from sweep.planning.trial_states import read_trial_states
from sweep.tracking.error_reason import explain_error
from sweep.tracking.experiment_link import ExperimentLink
from sweep.tracking.tracker import Tracker

RETRY_S = 1.0
CONNECT_TIMEOUT_S = 5.0
"""For so long a store may be locked or a server restart before the last try is given up."""

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class ExportResult:
    """The result of an export to MLflow.

    Attributes:
        link: where the experiment is; None if MLflow could not be reached.
        num_exported: how many runs were created or changed.
        error: why MLflow could not be reached; None if it was.
        is_final: whether nothing more is exported after this result.
        note: a line that a person should know of the store; None if there is nothing.
    """

    link: ExperimentLink | None = None
    num_exported: int = 0
    error: str | None = None
    is_final: bool = True
    note: str | None = None


def export_all(
    grid: Grid, tracker: Tracker | None = None, is_wanted: Callable[[], bool] = lambda: True
) -> ExportResult:
    """Update MLflow from all records of a grid that no driver trains at present.

    Args:
        grid: the grid whose records are exported.
        tracker: a connection to MLflow for this grid; None: connect here.
        is_wanted: asked before each record; the export ends where it returns False.
    """
    deadline = time.monotonic() + CONNECT_TIMEOUT_S
    try:
        records = read_trial_states(grid).records.values()
    except Exception as error:
        return ExportResult(error=explain_error(error))
    while True:
        try:
            tracker = tracker or Tracker(grid)
            wanted = itertools.takewhile(lambda _: is_wanted(), records)
            num_exported = tracker.export(wanted, ended=True)
            if is_wanted():
                tracker.note_writer.write_all()
            logger.info("exported %d of %d records to MLflow", num_exported, len(records))
            return ExportResult(tracker.link, num_exported, note=tracker.note)
        except Exception as error:
            tracker = None
            reason = explain_error(error)
            if time.monotonic() > deadline or not is_wanted():
                logger.warning("the export to MLflow is given up: %s", reason)
                return ExportResult(error=reason)
            logger.debug("the export to MLflow is tried again: %s", reason)
            time.sleep(RETRY_S)
