"""The commands. Each imports what it needs when it is called, so that help answers at once."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from sweep import interrupts
from sweep.errors import ExitCode, RefusedError, visible
from sweep.tracking.credentials import take_out_of_uri
from sweep.wording import counted

if TYPE_CHECKING:
    from rich.console import Console

    from sweep.grid.layout import Grid
    from trainables.spec import Outcome

app = typer.Typer(
    name="sweep",
    help="Train a grid of (norm, batch size, seed) on Ray Tune; track every trial in MLflow.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
GridPath = Annotated[Path, typer.Argument(metavar="GRID", help="The grid, a YAML file.")]
AtScale = Annotated[
    str, typer.Option("--scale", help="full, or small: the same cells in minutes, on digits.")
]


@app.command()
def init(
    path: Annotated[Path, typer.Argument(help="Where to write it.")] = Path("grid.yaml"),
) -> None:
    """Write a commented grid to start from."""
    template = (Path(__file__).parent / "template.yaml").read_text(encoding="utf-8")
    with refusals():
        try:
            with open(path, "x", encoding="utf-8") as file:
                file.write(template)
        except FileExistsError:
            raise RefusedError(f"{path} is there already; it was left as it is") from None
        except OSError as error:
            raise RefusedError(f"{path} cannot be written: {error.strerror}") from None
    print(f"wrote {path}; try `python -m sweep plan {path}`")


@app.command()
def plan(
    grid: GridPath,
    scale: AtScale = "full",
    calibrate: Annotated[
        bool, typer.Option("--calibrate", help="Time a few steps of every cell, for the forecast.")
    ] = False,
) -> None:
    """Show what would run, what is done, and what it will cost. Starts nothing."""
    with refusals():
        from sweep.display.checking import checked, timed
        from sweep.display.progress import print_plainly
        from sweep.display.tables import print_plan
        from sweep.packing.packing import foreseen_line, gpus_here, slots_here
        from sweep.plan import make_plan
        from sweep.remarks import missing_data

        console = _console()
        feasible = checked(_load(grid, scale), console)
        if calibrate:
            timed(feasible, console)
        for line in missing_data(feasible):
            print_plainly(console, f"note: {line}")
        standing, num_gpus = make_plan(feasible), gpus_here(feasible)
        slots = slots_here(standing, os.cpu_count() or 1, num_gpus)
        print_plan(console, standing, slots, foreseen_line(standing, num_gpus))


@app.command()
def run(
    grid: GridPath,
    scale: AtScale = "full",
    address: Annotated[
        str | None, typer.Option(help="An existing Ray cluster, or `auto`. [default: this machine]")
    ] = None,
    retry: Annotated[
        list[str] | None, typer.Option(help="Train trials with this outcome again: failed.")
    ] = None,
    report: Annotated[
        Path | None, typer.Option(help="Folder for a report of what there is at the end.")
    ] = None,
) -> None:
    """Train what is missing. Safe to repeat, to interrupt and to extend.

    Exit codes: 0 every trial has an outcome and MLflow has it; 1 some trial failed; 2 the grid
    or the command is wrong and nothing was started; 3 interrupted or incomplete; 4 trained, but
    MLflow could not be brought up to date.
    """
    with refusals():
        checked, outcomes = _load(grid, scale), _outcomes(retry or [])
        from sweep.run import run as run_grid

        code = run_grid(checked, _console(), address=address, retry=outcomes, report=report)
    raise typer.Exit(code)


@app.command()
def status(grid: GridPath, scale: AtScale = "full") -> None:
    """Show how a sweep stands; also while it runs, from another shell.

    Exit code 2 if a record cannot be read; the others are shown.
    """
    with refusals():
        from sweep.display.status import print_status
        from sweep.plan import make_plan
        from sweep.records.lock import current_holder

        read = _load(grid, scale)
        if read.skip_infeasible:
            from sweep.feasibility import without_infeasible

            read, _ = without_infeasible(read)
        standing = make_plan(read, with_damaged=True)
        holder = current_holder(standing.folder)
        print_status(_console(), standing, holder)
        if standing.damaged:
            raise RefusedError(*standing.damaged.values())


@app.command()
def sync(grid: GridPath, scale: AtScale = "full") -> None:
    """Bring MLflow up to the records. Does nothing that is done already."""
    with refusals():
        from sweep.plan import make_plan
        from sweep.records.lock import driving
        from sweep.tracking.shipping import ship_all

        standing = make_plan(_load(grid, scale))
        if not standing.records:
            raise RefusedError(f"{standing.folder.storage.uri} holds no records yet")
        with driving(standing.folder):
            shipped = ship_all(standing.grid)
    if shipped.place is None:
        print(f"MLflow cannot be reached: {visible(shipped.error or '')}", file=sys.stderr)
        raise typer.Exit(ExitCode.NOT_TRACKED)
    up_to_date = counted(len(standing.records), "run")
    print(f"{up_to_date} up to date, {shipped.num_touched} of them just now")
    print(f"{shipped.place.command or 'open'}: {shipped.place.link}")


@app.command()
def parameters(grid: GridPath) -> None:
    """Print the parameters of each model, and how many each norm adds to it. Trains nothing."""
    with refusals():
        from sweep.display.tables import print_parameters
        from sweep.parameters import added_parameters

        print_parameters(_console(), added_parameters(_load(grid, "full")))


@app.command()
def reproduce(
    grid: GridPath,
    trial: Annotated[str, typer.Argument(help="Its id, or its name: groupnorm-bs008-s2.")],
    epochs: Annotated[
        int | None, typer.Option(min=1, help="Train only so many epochs, for a quick look.")
    ] = None,
    scale: AtScale = "full",
) -> None:
    """Train one trial in this process, without Ray, and compare it with its record.

    Exit codes: 0 the same bits; 1 other bits, or the trial failed or diverged; 2 no such trial.
    """
    with refusals():
        from sweep.feasibility import require_data
        from sweep.plan import make_plan
        from sweep.reproduce import find
        from sweep.reproduce import reproduce as train_again

        read = _load(grid, scale)
        found = find(read, trial)
        require_data(read, download=True)
        standing = make_plan(read)
        print(f"{found.name} ({found.trial_id})")
        same = train_again(standing, found, lambda line: print(line, flush=True), epochs)
    raise typer.Exit(ExitCode.DONE if same else ExitCode.FAILED)


@app.command(name="check-norm")
def check_norm(
    norm: Annotated[
        str, typer.Argument(metavar="NORM", help="module:attr, or a registered norm's name.")
    ],
    options: Annotated[
        list[str] | None, typer.Argument(metavar="[OPTION=VALUE]...", help="num_groups=8, …")
    ] = None,
    channels: Annotated[int, typer.Option(min=1, help="Channels of the layers tried.")] = 48,
) -> None:
    """Run the contract of a norm layer on yours and print a line per property.

    Exit codes: 0 every property holds; 1 one does not; 2 there is no such layer.
    """
    with refusals():
        from sweep.grid.source import scalar

        given = [option.partition("=") for option in options or []]
        for name, sign, _ in given:
            if not name.isidentifier() or not sign:
                raise RefusedError(f"expected OPTION=VALUE, found {name + sign!r}")
        import normmods

        chosen = {name: scalar(value) for name, _, value in given}
        try:
            normmods.complete_options(norm, chosen)
        except normmods.NormError as error:
            raise RefusedError(str(error)) from None
        report = normmods.check_norm(norm, num_channels=channels, **chosen)
    print(report)
    raise typer.Exit(ExitCode.DONE if report.passed else ExitCode.FAILED)


@contextmanager
def refusals() -> Iterator[None]:
    """Turn refusals into lines on stderr and exit code 2."""
    from sweep.records.record import RecordDamagedError

    try:
        yield
    except RefusedError as error:
        for message in error.messages:
            print(visible(message), file=sys.stderr)
        raise typer.Exit(error.exit_code) from None
    except RecordDamagedError as error:
        print(visible(str(error)), file=sys.stderr)
        raise typer.Exit(ExitCode.REFUSED) from None
    except BrokenPipeError:
        raise
    except OSError as error:  # storage that cannot be reached, most of the time
        print(visible(" ".join(str(error).split())), file=sys.stderr)
        raise typer.Exit(ExitCode.REFUSED) from None
    except SystemExit as error:
        print(f"a module of this grid asks Python to exit ({error})", file=sys.stderr)
        raise typer.Exit(ExitCode.REFUSED) from None


def _load(path: Path, scale: str) -> Grid:
    from sweep.grid.edition import Scale, scaled
    from sweep.grid.layout import load_grid

    if scale not in list(Scale):
        raise RefusedError(f"--scale: expected {' or '.join(Scale)}, found {scale!r}")
    return scaled(load_grid(path), Scale(scale))


def _outcomes(names: list[str]) -> list[Outcome]:
    from trainables.spec import Outcome

    again = (Outcome.FAILED, Outcome.OUT_OF_MEMORY)
    for name in names:
        if name not in again:
            raise RefusedError(f"--retry: expected {' or '.join(again)}, found {name!r}")
    return [Outcome(name) for name in names]


def _console() -> Console:
    from sweep.display.output import Output

    return Output()


def main() -> None:
    """Entry point of `python -m sweep`."""
    interrupts.install()
    take_out_of_uri()
    try:
        try:
            app()
        finally:
            sys.stdout.flush()
    except BrokenPipeError:
        from sweep.display.output import discard

        discard()
