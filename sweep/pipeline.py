"""`sweep run`: train what is missing, ship it, say how it stands."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterable
from dataclasses import replace
from functools import partial
from pathlib import Path

from rich.console import Console

from sweep.display import tables
from sweep.display.cell_checks import check_cells_and_print
from sweep.display.live_view import print_line, show_live, show_spinner
from sweep.errors import ExitCode, RefusedError
from sweep.execution.driver import train_missing
from sweep.execution.repeated_errors import Stop
from sweep.execution.state import SweepState
from sweep.execution.worker_preload import preload_workers
from sweep.grid.model import Grid
from sweep.planning.feasibility import require_data, require_data_at_hand
from sweep.planning.kept_trials import kept_trials
from sweep.planning.plan import Plan, make_plan, plan_after, save_expected, sweep_folder
from sweep.planning.warnings import changed_source_warnings, missing_data_warnings
from sweep.process import interrupts
from sweep.process.logs import log_arguments
from sweep.records.lease import DriverLease, hold_lease, require_no_driver
from sweep.resources.custom_modules import package_custom_modules
from sweep.resources.gpu_sharing.measure import drop_unusable_gpus, measure_gpu_shares
from sweep.resources.node_checks import require_nodes_ready
from sweep.resources.ray_cluster import Cluster, require_reachable
from sweep.resources.ray_compat import import_ray
from sweep.resources.temporary_folder import require_temporary_folder
from sweep.tracking.exporter import Exporter, ExportResult, export_all
from trainables.spec import Outcome

CUT_SHORT_S = 12.0
"""For so long a sweep that was interrupted waits for MLflow; `sync` does the rest."""


def run(
    grid: Grid,
    console: Console,
    *,
    address: str | None = None,
    retry: Iterable[Outcome] = (),
    report: Path | None = None,
) -> ExitCode:
    """Train the grid's missing trials. Safe to repeat, to interrupt and to extend.

    With a folder for the `report`, the analysis writes one from what there is at the end.
    """
    require_no_driver(sweep_folder(grid))  # at once, and not after checks that take long
    require_reachable(address)
    if report is not None:
        require_folder(report)
    plan = make_plan(grid, retry)
    for line in (*changed_source_warnings(plan), *kept_trials(plan)):
        print_line(console, f"note: {line}")
    if plan.missing():
        require_temporary_folder(address)
        feasible = check_cells_and_print(grid, console, meanwhile=import_ray)
        with show_spinner(console, "checking the data"):
            require_data(feasible, download=True)
        plan = replace(plan, grid=feasible)
        tables.print_continuation(console, plan)
    plan.folder.storage.require_writable()
    ended, stops = frozenset[str](), list[Stop]()
    with hold_lease(plan.folder) as reign:
        if plan.missing():
            shipped, board = _train(plan, console, address, reign)
            ended, stops = board.ended_trial_ids, board.repeated.stops()
        else:
            save_expected(plan)
            shipped = export_all(plan.grid)
    now = plan_after(plan, ended)
    tables.print_outcome(console, before=plan, after=now, stops=stops)
    reported = report is None or write_report(now, shipped, report, console)
    tables.print_locations(console, now, shipped, reported=reported and report is not None)
    return exit_code(now, shipped, reported=reported)


def dry_run(
    grid: Grid, console: Console, *, address: str | None = None, retry: Iterable[Outcome] = ()
) -> ExitCode:
    """Check all that `run` checks before it trains, and say what it would train.

    Ray is started, or asked, for what there is to train on; nothing is written but a probe.
    """
    require_no_driver(sweep_folder(grid))
    require_reachable(address)
    require_temporary_folder(address)
    plan = replace(make_plan(grid, retry), grid=check_cells_and_print(grid, console, import_ray))
    for line in missing_data_warnings(plan.grid):
        print_line(console, f"note: {line}")
    if plan.missing():
        with show_spinner(console, "checking the data"):
            require_data_at_hand(plan.grid)
    plan.folder.storage.require_writable()
    with show_spinner(console, "starting Ray"):
        cluster = Cluster(
            address, package_custom_modules(plan.grid.import_paths), partial(print_line, console)
        )
    try:
        share = cluster.capacity.shares(plan.grid)[0]
        slots = cluster.capacity.slots(share)
        if cluster.is_remote:
            with show_spinner(console, "visiting the nodes"):
                require_nodes_ready(plan, cluster.capacity, share)
    finally:
        cluster.shut_down()
    tables.print_plan(console, plan, slots)
    print_line(console, "dry run: nothing was trained")
    return ExitCode.DONE


def _train(
    plan: Plan, console: Console, address: str | None, reign: DriverLease
) -> tuple[ExportResult, SweepState]:
    say, board = partial(print_line, console), None
    with show_spinner(console, "starting Ray"), preload_workers(plan.grid, len(plan.missing())):
        cluster = Cluster(address, package_custom_modules(plan.grid.import_paths), say)
    try:
        plan = replace(plan, grid=drop_unusable_gpus(plan.grid, cluster, say))
        share = cluster.capacity.shares(plan.grid)[0]
        cluster.capacity.slots(share)  # refuses what fits on no node
        interrupts.install_handlers()
        if cluster.is_remote:
            with show_spinner(console, "visiting the nodes"):
                require_nodes_ready(plan, cluster.capacity, share)
        packing = measure_gpu_shares(plan, cluster, say, partial(show_spinner, console))
        board = SweepState(plan, slots=packing.slots_at_first(plan), ray_logs=cluster.logs)
        interrupts.install_handlers(board.interrupt)
        save_expected(plan)
        shipper = Exporter(plan.grid)
        with show_live(board, console):
            train_missing(plan, cluster, packing, board, shipper, reign)
    finally:
        is_read = board is not None and bool(board.failure or board.num_lost_workers)
        cluster.shut_down(keep_logs=is_read)
    if board.failure:
        print_line(console, f"stopped: {board.failure}", "red")
    if is_read:
        print_line(console, f"what Ray says of it: {cluster.logs}")
    with show_spinner(console, "bringing MLflow up to date"):
        limit_s = CUT_SHORT_S if board.is_stopping else None
        return shipper.finish(limit_s), board


def require_folder(report: Path) -> None:
    """Raise `RefusedError` unless a report can be written to this folder, made if need be."""
    there = next(path for path in (report, *report.absolute().parents) if path.exists())
    if not there.is_dir():
        raise RefusedError(f"--report {report}: expected a folder, found the file {there}")
    if not os.access(there, os.W_OK | os.X_OK):
        raise RefusedError(f"--report {report}: the folder {there} cannot be written")


def write_report(plan: Plan, shipped: ExportResult, out: Path, console: Console) -> bool:
    """Have the analysis write a report, in a process of its own; whether it did.

    Where no trial has a result there is none to write, and a line says so.
    """
    if not plan.num(Outcome.COMPLETED, Outcome.DIVERGED):
        print_line(console, "no report is written, since no trial has a result")
        return True
    source = plan.folder.storage.uri if shipped.error else plan.grid.experiment
    sys.stdout.flush()
    command = [sys.executable, "-m", "analysis", "report", source, "--out", str(out)]
    command += log_arguments()
    code = subprocess.run(command, check=False).returncode
    if code != 0:
        what = f"no report is written to {out}: `python -m analysis report` ended with {code}"
        print_line(console, what, "red")
    return code == 0


def exit_code(plan: Plan, shipped: ExportResult, *, reported: bool = True) -> ExitCode:
    """What the records, MLflow and the report say, which is not always what Ray says."""
    if plan.missing():
        return ExitCode.INCOMPLETE
    if plan.num(Outcome.FAILED, Outcome.OUT_OF_MEMORY):
        return ExitCode.FAILED
    return ExitCode.NOT_TRACKED if shipped.error or not reported else ExitCode.DONE
