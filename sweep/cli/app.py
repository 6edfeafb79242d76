"""The command line. Each command imports its modules when it is called: help needs none."""

from __future__ import annotations

import errno
import logging
import os
import shutil
import sys
from typing import Annotated

import typer

from sweep.cli import author, inspect, maintain, train
from sweep.errors import ExitCode, escape_invisible
from sweep.process import interrupts
from sweep.tracking.credentials import move_password_to_environment

logger = logging.getLogger(__name__)

HELP = "Train a grid of (norm, batch size, seed) on Ray Tune; track every trial in MLflow."


MIN_PANEL_COLUMNS = 70
"""In narrower terminals help is plain text: a panel would cut off the names of options."""


def _print_version(asked: bool) -> None:
    """Print the version and end the command, if `--version` was typed."""
    if asked:
        from sweep.records.provenance import code_version

        typer.echo(f"norm-sweep {code_version()}")
        raise typer.Exit


def create_app(name: str) -> typer.Typer:
    """Return a typer app without commands, with `-h`, `--help` and `--version`."""
    columns = shutil.get_terminal_size().columns
    narrow = {"terminal_width": columns} if columns < MIN_PANEL_COLUMNS else {}
    made = typer.Typer(
        name=name,
        rich_markup_mode=None if narrow else "rich",
        help=HELP,
        no_args_is_help=True,
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": ["-h", "--help"], **narrow},
    )

    @made.callback()
    def options(
        version: Annotated[
            bool,
            typer.Option(
                "--version",
                help="Show the version and exit.",
                callback=_print_version,
                is_eager=True,
            ),
        ] = False,
    ) -> None: ...

    return made


app = create_app("sweep")
for command in (
    *(author.init, inspect.plan, train.run, inspect.status, maintain.sync),
    *(train.reproduce, author.parameters, maintain.gc, author.schema),
):
    app.command()(command)
app.command(name="check-norm")(author.check_norm)


def main(commands: typer.Typer = app) -> None:
    """Run the command that was typed and end the process with the command's exit code."""
    open_standard_streams()
    interrupts.install_handlers()
    move_password_to_environment()
    code = int(ExitCode.DONE)
    try:
        try:
            code = _run_for_exit_code(commands)
        finally:
            interrupts.detach_from_closed_terminal()
            sys.stdout.flush()
    except BrokenPipeError:
        from sweep.display.output import discard_stdout

        discard_stdout()
    except OSError as error:
        if error.errno != errno.ENOSPC:
            raise
        from sweep.display.output import discard_stdout

        discard_stdout()
        print(f"what is printed cannot be written: {error.strerror}", file=sys.stderr)
        code = int(ExitCode.REFUSED)
    sys.exit(code)


def open_standard_streams() -> None:
    """Open the null device for each standard stream that the caller has closed (`>&-`).

    The next file that the program opens would otherwise get the number of the closed stream, and
    everything that is printed would be written into this file.
    """
    for number, (name, mode) in enumerate((("stdin", "r"), ("stdout", "w"), ("stderr", "w"))):
        if getattr(sys, name) is None:
            nowhere = os.open(os.devnull, os.O_RDWR)
            if nowhere != number:
                os.dup2(nowhere, number)
                os.close(nowhere)
            setattr(sys, name, open(number, mode, encoding="utf-8", closefd=False))  # noqa: SIM115


def _run_for_exit_code(commands: typer.Typer) -> int:
    """Run the command and return its exit code; a wrong option is a line on stderr and code 2."""
    try:
        return int(commands(standalone_mode=False) or 0)
    except Exception as error:
        # Typer's own errors have this method; their classes have moved between its versions.
        if not hasattr(error, "format_message"):
            logger.exception("the command failed")
            raise
        if type(error).__name__ != "NoArgsIsHelpError":  # the help has been shown
            typer.echo(escape_invisible(format_usage_error(error)), err=True)
        return ExitCode.REFUSED


def format_usage_error(error: Exception) -> str:
    """Return a mistyped command's error as one line, with the command that shows the options.

    Example: `norm-sweep run: No such option: --repot … (`… -h` shows what there is)`.
    """
    said = " ".join(error.format_message().split()).rstrip(".")  # type: ignore[attr-defined]
    context = getattr(error, "ctx", None)
    command = context.command_path if context is not None else "norm-sweep"
    return f"{command}: {said} (`{command} -h` shows what there is)"
