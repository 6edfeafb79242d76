"""What a run does, from a parsed grid to its results: each stage has a type of its own.

`Grid` (parsed) -> `FeasibleGrid` (cells tried) -> `Plan` (held against the records) -> `Schedule`
(placed on a cluster) -> `RunResult`. Nothing is printed: observers receive events. Where seeds are
trained until contrasts are decided, a look at the results ends each round, and plans the next.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from functools import partial
from typing import NamedTuple

from sweep.errors import raise_sweep_errors
from sweep.events import (
    CellsSkipped,
    LookTaken,
    OnEvent,
    Stage,
    TrialsCounted,
    ignore_event,
    report_stage,
    report_training,
    send_message,
)
from sweep.execution.driver import train
from sweep.execution.look_process import take_look
from sweep.execution.repeated_errors import Stop
from sweep.execution.schedule import check_cluster, make_schedule
from sweep.execution.state import SweepState
from sweep.execution.worker_preload import preload_workers
from sweep.grid.model import Grid
from sweep.grid.trainable_data import require_trainable
from sweep.messages import Level
from sweep.planning.cell_checks import check_cells_in_subprocess
from sweep.planning.feasibility import (
    FeasibleGrid,
    count_cells,
    require_data,
    require_undamaged_data,
)
from sweep.planning.looks import find_due_look, require_same_rule
from sweep.planning.other_records import other_record_notes, other_seeding_warnings
from sweep.planning.plan import Plan, make_plan
from sweep.planning.resumption import count_resumed_trials
from sweep.planning.trial_states import (
    parse_outcomes,
    read_states_after,
    read_trial_states,
    save_expected,
    sweep_folder,
)
from sweep.planning.warnings import changed_source_notes, missing_data_notes
from sweep.process.environment import restored_environment
from sweep.process.interrupts import StopSignals
from sweep.records.lease import DriverLease, hold_lease, require_no_driver
from sweep.resources.custom_modules import find_custom_modules
from sweep.resources.ray_cluster import Cluster, require_no_connection, require_reachable
from sweep.resources.ray_compat import import_ray
from sweep.resources.temporary_folder import require_temporary_folder
from sweep.results import Rehearsal, RunResult
from sweep.tracking.export import ExportResult, export_all
from sweep.tracking.exporter import Exporter
from sweep.wording import count_noun
from trainables.spec import Outcome

EXPORT_LIMIT_S = 12.0
"""How long an interrupted sweep waits for MLflow; `sync` exports what is left."""

ABANDON_EXPORT_S = 0.1
"""How long a sweep that ends in an error waits for MLflow."""


class _TrainingResult(NamedTuple):
    """The result of training a plan; the fields are those of `RunResult`."""

    export: ExportResult
    ended: frozenset[str] = frozenset()
    stops: tuple[Stop, ...] = ()
    is_interrupted: bool = False


def run(
    grid: Grid,
    *,
    on_event: OnEvent = ignore_event,
    address: str | None = None,
    retry: Iterable[Outcome | str] = (),
) -> RunResult:
    """Train the grid's missing trials and bring MLflow up to date.

    Safe to repeat, to interrupt and to extend. Ctrl-C, or a notebook's "interrupt", suspends the
    trials in training: the function returns, and the next call resumes them. A second Ctrl-C
    raises `KeyboardInterrupt`. In a thread other than the main one no signal stops the run.

    Args:
        grid: the grid.
        on_event: receives what happens, in the calling thread: see `sweep.events`, and
            `sweep.notebook_progress` for an observer that shows it.
        address: an existing Ray cluster, or `auto`; by default Ray is started on this machine.
        retry: outcomes whose trials are trained again: `failed`, `out_of_memory`.

    Returns:
        How the trials stand, and what became of the export to MLflow.

    Raises:
        RefusedError: if nothing was started, since a check has failed or another process runs the
            sweep.
        NotStartedError: if Ray does not start.
        StorageError: if records cannot be read or written.

    Examples:
        >>> import sweep
        >>> grid = sweep.load_grid("grid.yaml")  # doctest: +SKIP
        >>> sweep.run(grid).num_missing  # doctest: +SKIP
        0
    """
    again = parse_outcomes(list(retry))
    with restored_environment(), raise_sweep_errors():
        return _run_stages(grid, on_event, address, again)


def _run_stages(
    grid: Grid, on_event: OnEvent, address: str | None, retry: Iterable[Outcome]
) -> RunResult:
    """Run all stages of `run`, from the records to the export, and return the result."""
    require_no_driver(sweep_folder(grid))  # at once, and not after checks that take long
    require_no_connection()
    require_reachable(address)
    states = read_trial_states(grid, retry)
    for line in (*changed_source_notes(states), *other_record_notes(states)):
        send_message(on_event, Level.NOTE, line)
    for line in other_seeding_warnings(states):
        send_message(on_event, Level.WARNING, line)
    require_same_rule(grid, states.looks)
    plan = feasible = None
    if states.missing() or find_due_look(states) is not None:
        require_temporary_folder(address)
        feasible = try_cells(grid, on_event, meanwhile=import_ray)
        with report_stage(on_event, Stage.CHECK_DATA, "checking the data"):
            require_data(feasible, download=True)
        states = plan = make_plan(feasible, states)
        if plan.missing():
            on_event(TrialsCounted(count_resumed_trials(plan)))
    states.folder.storage.require_writable()
    with hold_lease(states.folder) as lease:
        if plan is not None and feasible is not None:
            states = plan = _take_due_looks(plan, feasible, on_event)
        if plan is not None and feasible is not None and plan.missing():
            training = _train_plan(plan, feasible, on_event, address, lease)
        else:
            save_expected(states)
            training = _TrainingResult(export_all(states.grid))
    # Looks may have added trials since the states were read.
    after = read_states_after(replace(states, grid=feasible or states.grid), training.ended)
    before = replace(states, grid=after.grid)
    return RunResult(before, after, training.export, training.stops, training.is_interrupted)


def rehearse(
    grid: Grid,
    *,
    on_event: OnEvent = ignore_event,
    address: str | None = None,
    retry: Iterable[Outcome | str] = (),
) -> Rehearsal:
    """Check everything that `run` checks before it trains, and train nothing.

    Ray is started, or a cluster asked, for its CPUs and GPUs; nothing is written but a test file.
    Arguments and exceptions are those of `run`.

    Returns:
        The plan, and how many trials would be trained at once.
    """
    again = parse_outcomes(list(retry))
    with restored_environment(), raise_sweep_errors():
        return _rehearse_stages(grid, on_event, address, again)


def _rehearse_stages(
    grid: Grid, on_event: OnEvent, address: str | None, retry: Iterable[Outcome]
) -> Rehearsal:
    """Run the stages of `rehearse`: all checks of a run, without training."""
    require_no_driver(sweep_folder(grid))
    require_no_connection()
    require_reachable(address)
    require_temporary_folder(address)
    states = read_trial_states(grid, retry)
    for line in other_seeding_warnings(states):
        send_message(on_event, Level.WARNING, line)
    plan = make_plan(try_cells(grid, on_event, meanwhile=import_ray), states)
    for line in missing_data_notes(plan.grid):
        send_message(on_event, Level.NOTE, line)
    if plan.missing():
        with report_stage(on_event, Stage.CHECK_DATA, "checking the data"):
            require_undamaged_data(plan.grid)
    plan.folder.storage.require_writable()
    cluster = _connect_to_ray(plan, on_event, address)
    try:
        capacity = check_cluster(plan, cluster, partial(report_stage, on_event, Stage.CHECK_NODES))
        slots = capacity.slots(capacity.shares(plan.grid)[0])
    finally:
        cluster.shut_down()
    return Rehearsal(plan, slots)


def try_cells(
    grid: Grid, on_event: OnEvent, *, meanwhile: Callable[[], object] = lambda: None
) -> FeasibleGrid:
    """Return the grid without the cells that cannot be trained; report these and other notes.

    Args:
        grid: the parsed grid.
        on_event: receives which cells are skipped, and notes and warnings on the grid.
        meanwhile: is called while another process tries the cells.

    Raises:
        RefusedError: for cells that cannot be trained, unless the grid says `infeasible: skip`,
            and for data sets that are known by their dimensions alone.
    """
    require_trainable(grid)
    for line in grid.warnings:
        send_message(on_event, Level.WARNING, line)
    for line in grid.notes:
        send_message(on_event, Level.NOTE, line)
    description = f"checking {count_noun(count_cells(grid), 'cell')}"
    with report_stage(on_event, Stage.CHECK_CELLS, description):
        found = check_cells_in_subprocess(grid, meanwhile)
    for line in found.grid.skipped:
        on_event(CellsSkipped(line))
    for line in found.warnings:
        send_message(on_event, Level.WARNING, line)
    for line in found.notes:
        send_message(on_event, Level.NOTE, line)
    for (norm, variant), reason in found.grid.not_fusable.items():
        which = f"{norm} ({variant})" if variant else norm
        line = f"{which}: its seeds are trained one at a time: {reason}"
        send_message(on_event, Level.NOTE, line)
    return found.grid


def _train_plan(
    plan: Plan, feasible: FeasibleGrid, on_event: OnEvent, address: str | None, lease: DriverLease
) -> _TrainingResult:
    """Start Ray, train the plan's trials, and those of further seeds until all is decided."""
    signals, rounds = StopSignals(), list[SweepState]()
    on_stage = partial(report_stage, on_event)
    try:
        with preload_workers(plan.grid, len(plan.missing())):
            cluster = _connect_to_ray(plan, on_event, address)
        try:
            signals.keep_command_handlers()
            check_cluster(plan, cluster, partial(on_stage, Stage.CHECK_NODES))
            while True:
                schedule = make_schedule(
                    plan, cluster, on_event, partial(on_stage, Stage.MEASURE_GPU)
                )
                state = SweepState(plan, slots=schedule.slots, ray_logs=cluster.logs)
                rounds.append(state)
                signals.stop_with(state.interrupt)
                save_expected(plan)
                exporter = Exporter(plan.grid)
                try:
                    with report_training(on_event, state):
                        train(schedule, state, exporter, lease)
                    following = _plan_next_seed(plan, state, feasible, on_event)
                except BaseException:
                    exporter.finish(ABANDON_EXPORT_S)  # its process would wait for ever
                    raise
                if following is None:
                    break
                exporter.finish()
                plan = following
        finally:
            needs_logs = any(state.failure or state.num_lost_workers for state in rounds)
            cluster.shut_down(keep_logs=needs_logs)
        if state.failure:
            send_message(on_event, Level.ERROR, f"stopped: {state.failure}")
        if needs_logs:
            send_message(on_event, Level.INFO, f"what Ray says of it: {cluster.logs}")
        with on_stage(Stage.FINISH_EXPORT, "bringing MLflow up to date"):
            export = exporter.finish(EXPORT_LIMIT_S if state.is_stopping else None)
    finally:
        signals.restore()
    ended = frozenset[str]().union(*(state.ended_trial_ids for state in rounds))
    return _TrainingResult(export, ended, tuple(state.repeated.stops()), state.interrupted)


def _plan_next_seed(
    plan: Plan, state: SweepState, feasible: FeasibleGrid, on_event: OnEvent
) -> Plan | None:
    """Return the plan of the trials that looks at the trained ones ask for; None if there are none.

    None too where the seeds are fixed, the sweep stops, or a trial was left without an outcome.
    """
    if feasible.seed_looks is None or state.is_stopping:
        return None
    if read_states_after(plan, state.ended_trial_ids).missing():
        return None
    following = _take_due_looks(make_plan(feasible), feasible, on_event)
    return following if following.missing() and not state.is_stopping else None


def _take_due_looks(plan: Plan, feasible: FeasibleGrid, on_event: OnEvent) -> Plan:
    """Take the looks that are due, and return the plan with the trials that they ask for.

    Nothing is due where the seeds are fixed, or where a trial has no outcome.
    """
    while (num_seeds := find_due_look(plan)) is not None:
        description = f"deciding after {count_noun(num_seeds, 'seed')}"
        with report_stage(on_event, Stage.TAKE_LOOK, description):
            history, changed = take_look(plan, num_seeds)
        for line in changed:
            send_message(on_event, Level.WARNING, line)
        on_event(LookTaken(history))
        plan = make_plan(feasible)
    return plan


def _connect_to_ray(plan: Plan, on_event: OnEvent, address: str | None) -> Cluster:
    """Return a connection to the Ray cluster at `address`, or to a Ray started on this machine."""
    with report_stage(on_event, Stage.START_RAY, "starting Ray"):
        modules = find_custom_modules(plan.grid.import_paths)
        return Cluster(address, modules, partial(send_message, on_event, Level.INFO))
