"""The arguments that several commands have, and the grid that they name."""

from __future__ import annotations

import glob
import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from sweep.errors import RefusedError
from sweep.process.logs import log_to_file, log_to_stderr

if TYPE_CHECKING:
    from rich.console import Console

    from sweep.grid.model import Grid


def complete_files(incomplete: str) -> list[str]:
    """Return the YAML files and folders whose names begin with what was typed."""
    found = glob.glob(f"{glob.escape(incomplete)}*")
    folders = [f"{path}/" for path in found if os.path.isdir(path)]
    return sorted(folders + [path for path in found if path.endswith((".yaml", ".yml"))])


GridPath = Annotated[
    Path,
    typer.Argument(metavar="GRID", help="The grid, a YAML file.", autocompletion=complete_files),
]
AtScale = Annotated[
    str,
    typer.Option(
        "--scale",
        help="full, or small: the same cells in minutes, on digits.",
        autocompletion=lambda: ["full", "small"],
    ),
]
Changes = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        metavar="FIELD=VALUE",
        help="Read the grid as if it said so: train.epochs=2, factors.seed=[0,1].",
    ),
]


def _log_to_stderr(is_wanted: bool) -> None:
    """Log to standard error, if `--verbose` was typed."""
    if is_wanted:
        log_to_stderr()


def _log_to_file(path: Path | None) -> Path | None:
    """Log to the file of `--log-file`, and return its path."""
    if path is not None:
        try:
            log_to_file(path)
        except OSError as error:
            raise typer.BadParameter(f"{path} cannot be written: {error.strerror}") from None
    return path


Verbose = Annotated[
    bool,
    typer.Option(
        "--verbose",
        help="Say on standard error what is being done.",
        callback=_log_to_stderr,
        is_eager=True,
    ),
]
LogFile = Annotated[
    Path | None,
    typer.Option(
        "--log-file",
        metavar="FILE",
        help="Append what is being done to this file, in more detail.",
        callback=_log_to_file,
        is_eager=True,
    ),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON, for other programs.")]


def load_grid_argument(path: Path, scale: str = "full", changes: list[str] | None = None) -> Grid:
    """Return the grid of a command's arguments; raises `RefusedError`."""
    from sweep.grid.preset_changes import Preset
    from sweep.interface import load_grid

    if scale not in list(Preset):
        raise RefusedError(f"--scale: expected {' or '.join(Preset)}, found {scale!r}")
    return load_grid(path, changes or [], scale=scale)


def complete_trial_names(ctx: typer.Context) -> list[str]:
    """Return the names of the trials of the grid on the command line, for a shell to complete."""
    try:
        return [trial.name for trial in load_grid_argument(Path(ctx.params["grid"])).trials]
    except (RefusedError, KeyError, TypeError):
        return []


def console() -> Console:
    """Return the console on which a command prints."""
    from sweep.display.output import PipeSafeConsole

    return PipeSafeConsole()
