"""The command line: `norm-sweep report EXPERIMENT --out report/`."""

from __future__ import annotations

import shlex
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer

from analysis.errors import AnalysisError
from analysis.logs import log_to_file, log_to_stderr

TERMINAL_COLUMNS = shutil.get_terminal_size().columns
NARROW_HELP_SETTINGS = {"terminal_width": TERMINAL_COLUMNS} if TERMINAL_COLUMNS < 70 else {}
"""Plain help for a narrow terminal, where a panel would cut off the names of options."""

app = typer.Typer(
    rich_markup_mode=None if NARROW_HELP_SETTINGS else "rich",
    add_completion=False,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"], **NARROW_HELP_SETTINGS},
    help="Comparisons of norms over batch sizes that a careful reviewer would accept.",
)

Source = Annotated[
    str,
    typer.Argument(help="MLflow experiment, sweep folder, grid file, or CSV with a row per trial."),
]
Sources = Annotated[
    list[str],
    typer.Argument(
        help="MLflow experiment, sweep folder, grid file, or CSV with a row per trial; of several, "
        "those of one protocol are pooled and the others stay apart."
    ),
]
Out = Annotated[Path, typer.Option(help="Folder to write the report to.")]
Reference = Annotated[
    str | None,
    typer.Option(help="Norm the others are compared with; else the sweep's, else its first."),
]


def _print_version(asked: bool) -> None:
    """Print the version and exit, if it was asked for."""
    if asked:
        from importlib.metadata import PackageNotFoundError, version

        try:
            typer.echo(f"norm-sweep {version('norm-sweep')}")
        except PackageNotFoundError:
            typer.echo("norm-sweep, not installed")
        raise typer.Exit


@app.callback()
def main(
    version: Annotated[
        bool,
        typer.Option(
            "--version", help="Show the version and exit.", callback=_print_version, is_eager=True
        ),
    ] = False,
) -> None:
    """Comparisons of norms over batch sizes that a careful reviewer would accept."""


def run_command_line() -> None:
    """Run the command of `sys.argv` and exit.

    A command that cannot be parsed prints one line on stderr and exits with code 2.
    """
    try:
        code = app(prog_name="python -m analysis", standalone_mode=False)
    except Exception as error:
        # Typer's own errors have this method; their classes have moved between its versions.
        if not hasattr(error, "format_message"):
            raise
        if type(error).__name__ != "NoArgsIsHelpError":  # the help has been shown
            context = getattr(error, "ctx", None)
            command = context.command_path if context else "python -m analysis"
            said = " ".join(error.format_message().split()).rstrip(".")
            typer.echo(
                f"{command}: {escape_controls(said)} (`{command} -h` shows what there is)", err=True
            )
        code = 2
    sys.exit(code)


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

Margin = Annotated[
    float | None,
    typer.Option(help="Difference in error taken to be none, points; default 0.5, or 1."),
]
Threshold = Annotated[
    float | None,
    typer.Option(help="Test error in percent; the time until a trial stays below it is shown."),
]

Where = Annotated[
    list[str] | None,
    typer.Option(metavar="SETTING=VALUE", help="Only trials with this setting; repeatable."),
]

ToMlflow = Annotated[
    bool,
    typer.Option("--to-mlflow", help="Also put the report onto a run of the experiment."),
]


@app.command()
def report(
    source: Sources,
    out: Out = Path("report"),
    reference: Reference = None,
    margin: Margin = None,
    threshold: Threshold = None,
    where: Where = None,
    to_mlflow: ToMlflow = False,
    verbose: Verbose = False,
    log_file: LogFile = None,
) -> None:
    """Write a report: one HTML page, Markdown, JSON, tables and figures."""
    with _exit_on_error():
        from analysis.interface import write_report
        from analysis.reporting.mlflow_report_run import check_is_experiment, log_report_run
        from analysis.sources.source_location import locate_source

        if to_mlflow and len(source) > 1:
            raise AnalysisError(
                f"--to-mlflow puts the report of one experiment onto a run of it, but got "
                f"{len(source)} sources; leave it out, or name one"
            )
        location = locate_source(source[0])
        settings_filter = _parse_settings_filter(where)
        if to_mlflow:
            check_is_experiment(location)
        page, lines = write_report(
            source,
            out,
            reference=reference,
            margin=margin,
            threshold=threshold,
            settings_filter=settings_filter,
        )
        for line in lines:
            typer.echo(escape_controls(line))
        typer.echo(f"Report: {page}")
        if to_mlflow:
            log_report_run(location, out, lines)
            typer.echo(f"It is also on the run REPORT of experiment {location.name}.")


@app.command()
def compare(
    before: Source,
    after: Source,
    more: Annotated[list[str] | None, typer.Argument(hidden=True)] = None,
    out: Out = Path("comparison"),
    where: Where = None,
    verbose: Verbose = False,
    log_file: LogFile = None,
) -> None:
    """Say what moved between two sweeps, with intervals; `--where` holds for both."""
    with _exit_on_error():
        from analysis.interface import write_comparison

        if more:
            sources = shlex.join([before, after, *more])
            raise AnalysisError(
                f"compare takes two sweeps, but got {2 + len(more)}; for one report over all of "
                f"them type `norm-sweep report {sources}`"
            )
        page, lines = write_comparison(
            before, after, out, settings_filter=_parse_settings_filter(where)
        )
        for line in lines:
            typer.echo(escape_controls(line))
        typer.echo(f"Comparison: {page}")


@app.command()
def decide(verbose: Verbose = False, log_file: LogFile = None) -> None:
    """Take a look at a sweep with `seed: {until: decided}`; `run` calls this after each seed.

    Reads the declared rule and the outcome of each trial as JSON from standard input, and prints
    an answer with the decision on each contrast as JSON.
    """
    with _exit_on_error():
        from analysis.look_requests import answer_request

        typer.echo(answer_request(sys.stdin.read()))


@contextmanager
def _exit_on_error() -> Iterator[None]:
    """Print an error that a user can correct as one line on stderr; exit with code 2."""
    try:
        yield
    except AnalysisError as error:
        typer.echo(f"error: {escape_controls(str(error))}", err=True)
        sys.exit(2)
    except BrokenPipeError:
        raise
    except OSError as error:  # a full disk, or a folder that cannot be written to
        typer.echo(f"error: {escape_controls(str(error))}", err=True)
        sys.exit(2)


def escape_controls(text: str) -> str:
    """Return `text` with control characters escaped, so that a name cannot command the terminal."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def _parse_settings_filter(where: list[str] | None) -> dict[str, str]:
    """Return the settings of `--where` by name; raise `AnalysisError` for a malformed one."""
    pairs = [text.partition("=") for text in where or ()]
    for name, sign, value in pairs:
        if not (name and sign and value):
            raise AnalysisError(f"--where takes SETTING=VALUE, but got {name + sign + value!r}")
    return {name.strip(): value.strip() for name, _, value in pairs}
