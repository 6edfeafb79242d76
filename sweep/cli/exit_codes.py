"""The exit code of a command, and the lines of one that cannot be carried out."""

from __future__ import annotations

import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import typer

from sweep.errors import ExitCode, SweepError, escape_invisible, raise_sweep_errors

if TYPE_CHECKING:
    from sweep.results import RunResult

logger = logging.getLogger(__name__)


@contextmanager
def exit_on_error() -> Iterator[None]:
    """Within the block, print a `SweepError` on stderr and exit with its code."""
    try:
        with raise_sweep_errors():
            yield
    except SweepError as error:
        logger.error("refused: %s", error)
        for message in error.messages:
            print(escape_invisible(message), file=sys.stderr)
        raise typer.Exit(error.exit_code) from None


def run_exit_code(result: RunResult, *, is_reported: bool = True) -> ExitCode:
    """Return the exit code of a run, from its outcomes, its export and its report."""
    if result.num_missing:
        return ExitCode.INCOMPLETE
    if result.num_failed:
        return ExitCode.FAILED
    return ExitCode.NOT_TRACKED if result.export.error or not is_reported else ExitCode.DONE
