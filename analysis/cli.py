"""The command line: `norm-sweep report EXPERIMENT --out report/`."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer

from analysis.errors import AnalysisError
from analysis.options import Options

COLUMNS = shutil.get_terminal_size().columns
NARROW = {"terminal_width": COLUMNS} if COLUMNS < 70 else {}
"""Where help is plain text: in a panel the names of options would be cut off."""

app = typer.Typer(
    rich_markup_mode=None if NARROW else "rich",
    add_completion=False,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"], **NARROW},
    help="Comparisons of norms over batch sizes that a careful reviewer would accept.",
)

Source = Annotated[
    str,
    typer.Argument(help="MLflow experiment, sweep folder, grid file, or CSV with a row per trial."),
]
Out = Annotated[Path, typer.Option(help="Folder to write the report to.")]
Reference = Annotated[
    str | None,
    typer.Option(help="Norm the others are compared with; else the sweep's, else its first."),
]


def _print_version(asked: bool) -> None:
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


def start() -> None:
    """Run the command that is typed; a mistake in what was typed is one line and exit code 2."""
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
            typer.echo(f"{command}: {shown(said)} (`{command} -h` shows what there is)", err=True)
        code = 2
    sys.exit(code)


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
    source: Source,
    out: Out = Path("report"),
    reference: Reference = None,
    margin: Margin = None,
    threshold: Threshold = None,
    where: Where = None,
    to_mlflow: ToMlflow = False,
) -> None:
    """Write a report: one HTML page, Markdown, JSON, tables and figures."""
    with _one_line_errors():
        from analysis.reporting.manifest import unchanged
        from analysis.reporting.mlflow_report_run import check_place, log_report
        from analysis.sources.source_digest import compute_source_digest
        from analysis.sources.source_location import locate_source

        place, settings = locate_source(source), _settings(where)
        if to_mlflow:
            check_place(place)
        key = compute_source_digest(place, (reference, margin, threshold, settings, place.grid))
        lines = unchanged(out, key)
        if lines is None:
            lines = _make(source, out, Options(reference, margin, threshold), settings, key)
        for line in lines:
            typer.echo(shown(line))
        typer.echo(f"Report: {out / 'report.html'}")
        if to_mlflow:
            log_report(place, out, lines)
            typer.echo(f"It is also on the run REPORT of experiment {place.name}.")


def _make(
    source: str, out: Path, options: Options, settings: dict[str, str], key: str | None
) -> list[str]:
    """Make the report and return its headline."""
    from analysis.findings import findings_of
    from analysis.reporting.summary import summary
    from analysis.reporting.write_report import files_of, write
    from analysis.sources.load_results import load_results

    trials = load_results(source, settings)
    found = findings_of(trials, options)
    lines = [*(f"warning: {line}" for line in trials.warnings), *summary(found)]
    write(out, files_of(trials, found), made_from=key or "", headline=lines)
    return lines


@app.command()
def compare(
    before: Source, after: Source, out: Out = Path("comparison"), where: Where = None
) -> None:
    """Say what moved between two sweeps, with intervals; `--where` holds for both."""
    with _one_line_errors():
        from analysis.reporting.sweep_comparison import compare as write
        from analysis.sources.load_results import load_results
        from analysis.sources.source_location import check_distinct_locations, locate_source

        settings = _settings(where)
        check_distinct_locations(locate_source(before), locate_source(after))
        pair = (load_results(before, settings), load_results(after, settings))
        page, found = write(*pair, out)
        warnings = [f"warning: {line}" for trials in pair for line in trials.warnings]
        for line in [*warnings, *found]:
            typer.echo(shown(line))
        typer.echo(f"Comparison: {page}")


@contextmanager
def _one_line_errors() -> Iterator[None]:
    """What the user can put right is one line on stderr and exit code 2."""
    try:
        yield
    except AnalysisError as error:
        typer.echo(f"error: {shown(str(error))}", err=True)
        sys.exit(2)
    except BrokenPipeError:
        raise
    except OSError as error:  # a full disk, or a folder that cannot be written to
        typer.echo(f"error: {shown(str(error))}", err=True)
        sys.exit(2)


def shown(text: str) -> str:
    """`text` without what would command the terminal: names are shown, not obeyed."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def _settings(where: list[str] | None) -> dict[str, str]:
    pairs = [text.partition("=") for text in where or ()]
    for name, sign, value in pairs:
        if not (name and sign and value):
            raise AnalysisError(f"--where takes SETTING=VALUE, but got {name + sign + value!r}")
    return {name.strip(): value.strip() for name, _, value in pairs}
