"""`run --report`: a report of all results at the end of a run, written by the analysis."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from sweep.display.live_view import print_line
from sweep.display.tables import choose_report_source
from sweep.errors import RefusedError
from sweep.process.logs import log_arguments
from sweep.results import RunResult
from trainables.spec import Outcome

if TYPE_CHECKING:
    from rich.console import Console


def require_report_folder(report: Path) -> None:
    """Raise `RefusedError` unless a report can be written to this folder, or the folder made."""
    there = next(path for path in (report, *report.absolute().parents) if path.exists())
    if not there.is_dir():
        raise RefusedError(f"--report {report}: expected a folder, found the file {there}")
    if not os.access(there, os.W_OK | os.X_OK):
        raise RefusedError(f"--report {report}: the folder {there} cannot be written")


def write_report(result: RunResult, out: Path, console: Console) -> bool:
    """Run the analysis in a child process to write a report; return whether it succeeded.

    Where no trial has a result, no report is written: a line says so, and True is returned.
    """
    states = result.states
    if not states.num(Outcome.COMPLETED, Outcome.DIVERGED):
        print_line(console, "no report is written, since no trial has a result")
        return True
    source = choose_report_source(states, result.export)
    sys.stdout.flush()
    command = [sys.executable, "-m", "analysis", "report", source, "--out", str(out)]
    command += log_arguments()
    code = subprocess.run(command, check=False).returncode
    if code != 0:
        what = f"no report is written to {out}: `python -m analysis report` ended with {code}"
        print_line(console, what, "red")
    return code == 0
