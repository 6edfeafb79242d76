"""The command line. Each command imports what it needs when it is called: help answers at once."""

from __future__ import annotations

import sys

import typer

from sweep import interrupts
from sweep.commands import keeping, looking, training, writing
from sweep.tracking.credentials import take_out_of_uri

app = typer.Typer(
    name="sweep",
    help="Train a grid of (norm, batch size, seed) on Ray Tune; track every trial in MLflow.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
for command in (
    *(writing.init, looking.plan, training.run, looking.status, keeping.sync),
    *(training.reproduce, writing.parameters, keeping.gc, writing.schema),
):
    app.command()(command)
app.command(name="check-norm")(writing.check_norm)


def main() -> None:
    """Entry point of `python -m sweep`, and of `norm-sweep`."""
    interrupts.install()
    take_out_of_uri()
    try:
        try:
            app()
        finally:
            interrupts.leave_a_dead_terminal()
            sys.stdout.flush()
    except BrokenPipeError:
        from sweep.display.output import discard

        discard()
