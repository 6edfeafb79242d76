"""The command line: `python -m analysis report EXPERIMENT --out report/`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from analysis.errors import InputError

app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    help="Comparisons of norms over batch sizes that a careful reviewer would accept.",
)

Source = Annotated[
    str,
    typer.Argument(help="MLflow experiment, sweep folder, or CSV with one row per trial."),
]
Out = Annotated[Path, typer.Option(help="Folder to write the report to.")]
Reference = Annotated[
    str | None,
    typer.Option(help="Norm the others are compared with; else the sweep's, else its first."),
]


@app.callback()
def main() -> None:
    """Comparisons of norms over batch sizes that a careful reviewer would accept."""


@app.command()
def report(source: Source, out: Out = Path("report"), reference: Reference = None) -> None:
    """Write a report: one HTML page, Markdown, tables and figures."""
    try:
        from analysis.reporting.answer import headline
        from analysis.reporting.write import report as write
        from analysis.sources.load import load

        trials = load(source)
        page = write(trials, out, reference)
        for line in headline(trials, reference):
            typer.echo(line)
        typer.echo(f"Report: {page}")
    except InputError as error:
        typer.echo(f"error: {error}", err=True)
        sys.exit(2)
