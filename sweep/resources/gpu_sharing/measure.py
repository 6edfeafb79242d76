"""Measures, before a run, how many trials of each cell share a GPU, where measuring pays."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from typing import Any, NamedTuple

from sweep.errors import RefusedError
from sweep.grid.expand import GridTrial
from sweep.messages import Level, Message
from sweep.planning.cost import cell_of
from sweep.planning.feasibility import FeasibleGrid
from sweep.planning.plan import Plan
from sweep.resources.capacity import Capacity
from sweep.resources.gpu_sharing import mps
from sweep.resources.gpu_sharing.measurements import (
    CellMeasurement,
    Setting,
    load,
    save,
    seeds_side_by_side,
    summarise_measurements,
    workload_id,
)
from sweep.resources.gpu_sharing.probe_process import WorkloadSpec
from sweep.resources.gpu_sharing.probe_process_pool import PROBE_TIMEOUT_S, ProbeProcessPool
from sweep.resources.gpu_sharing.shares import (
    GpuShares,
    max_trials_per_gpu,
    reason_not_measured,
    unmeasured_cells,
)
from sweep.resources.gpu_sharing.throughput import ThroughputProbe
from sweep.resources.ray_cluster import Cluster
from trainables.errors import describe_error
from trainables.fused.width import MAX_NETWORKS

OnMessage = Callable[[Message], None]
ReportStage = Callable[[str], AbstractContextManager[None]]


def usable_capacity(grid: FeasibleGrid, cluster: Cluster, on_message: OnMessage) -> Capacity:
    """Return the cluster's capacity, without this machine's GPUs where PyTorch sees none.

    Raises `RefusedError` where the grid asks for a part of a GPU. The nodes of a remote cluster
    are checked by `sweep.resources.node_checks`.
    """
    capacity = cluster.capacity
    if cluster.is_remote or capacity.shares(grid)[0].device != "cuda":
        return capacity
    import torch

    if torch.cuda.is_available():
        return capacity
    here = f"Ray counts a GPU on this machine, but PyTorch {torch.__version__} sees none"
    if grid.resources.gpu != "auto":
        raise RefusedError(f"{here}; mend its driver, or say `resources: {{gpu: 0}}`")
    on_message(Message(Level.NOTE, f"{here}: training on the CPUs"))
    return capacity.without_gpus()


def measure_gpu_shares(
    plan: Plan,
    capacity: Capacity,
    on_message: OnMessage,
    report_stage: ReportStage,
    *,
    is_remote: bool,
) -> GpuShares:
    """Return how many trials share a GPU in each cell, measured on a GPU if that is worth the time.

    A cell that cannot be measured has a GPU to itself: no sweep fails because of a measurement.

    Args:
        plan: what is to be trained.
        capacity: the CPUs and GPUs to train on.
        on_message: called with a line that says how many trials share a GPU, and why.
        report_stage: a context manager that describes the measurement of a cell to a person.
        is_remote: whether the GPUs are a cluster's.
    """
    grid = plan.grid
    whole = GpuShares(grid, capacity)
    if grid.resources.gpu != "auto" or not capacity.gpu_nodes:
        return whole
    daemon = None if is_remote else mps.mps_state()
    setting = Setting(capacity.gpu_kinds, daemon)
    stored = load(plan.folder)
    known = {w: measured for w, measured in stored.items() if measured.setting == setting}
    cells = unmeasured_cells(plan, plan.missing(), known)
    why_not = reason_not_measured(plan, capacity, cells) if cells else None
    if cells and why_not is None:
        setup = _MeasurementSetup(grid, capacity, is_remote, on_message, report_stage)
        for trial, probe in _measure_cells(setup, cells):
            name = trial.name.rpartition("-s")[0]
            known[workload_id(grid, trial)] = CellMeasurement(probe, setting, name)
            save(plan.folder, {**stored, **known})
    most = max(1, max_trials_per_gpu(grid, capacity))
    workloads = dict.fromkeys(workload_id(grid, trial) for trial in plan.missing())
    per_gpu = {w: known[w].probe.trials_per_device(most) if w in known else 1 for w in workloads}
    because = f", since {why_not}" if why_not else ""
    about = f"; {mps.format_mps_state(daemon)}" if daemon else ""
    line = f"{summarise_measurements(per_gpu)}{because}{about}"
    on_message(Message(Level.INFO, line))
    return GpuShares(grid, capacity, per_gpu)


class _MeasurementSetup(NamedTuple):
    """What the measurements of a run have in common: the grid, the GPUs, and where to report."""

    grid: FeasibleGrid
    capacity: Capacity
    is_remote: bool
    on_message: OnMessage
    report_stage: ReportStage

    def note(self, line: str) -> None:
        """Send the user a note."""
        self.on_message(Message(Level.NOTE, line))


def _measure_cells(
    setup: _MeasurementSetup, cells: Sequence[GridTrial]
) -> Iterator[tuple[GridTrial, ThroughputProbe]]:
    """Yield the probe of each cell that can be measured; a GPU is reserved for this."""
    import ray
    from ray.exceptions import RayActorError

    grid = setup.grid
    most = max_trials_per_gpu(grid, setup.capacity)
    cpu = float(grid.resources.cpu)
    import_paths = () if setup.is_remote else grid.import_paths
    pool_class: Any = ray.remote(ProbeProcessPool).options(num_gpus=1, num_cpus=most * cpu)
    actor = pool_class.remote(import_paths, grid.folder)
    try:
        for number, trial in enumerate(cells, start=1):
            what = f"measuring cells on a GPU ({number} of {len(cells)})"
            try:
                with setup.report_stage(what):
                    call = actor.probe.remote(_workload(grid, trial), most)
                    probe = ray.get(call, timeout=2 * PROBE_TIMEOUT_S)
            except RayActorError as error:
                setup.note(f"trials on a GPU could not be measured: {_last_line(error)}")
                break
            except Exception as error:
                setup.note(f"{trial.name} could not be measured on a GPU: {_last_line(error)}")
            else:
                yield trial, probe
    finally:
        ray.kill(actor)


def _workload(grid: FeasibleGrid, trial: GridTrial) -> WorkloadSpec:
    """Return the workload to measure: the trial, or the seeds of its cell that a worker trains."""
    wanted = seeds_side_by_side(grid, trial)
    number = MAX_NETWORKS if isinstance(wanted, str) else wanted
    seeds = [other.spec for other in grid.trials if cell_of(other) == cell_of(trial)]
    return WorkloadSpec(
        specs=tuple(seeds[:number]),
        width=None if isinstance(wanted, str) else wanted,
        data_root=grid.data_root,
        num_threads=max(1, int(grid.resources.cpu)),
        device="cuda",
        cuda_graphs=grid.resources.cuda_graphs == "auto",
    )


def _last_line(error: Exception) -> str:
    """Return the last line of an error's message."""
    lines = str(error).strip().splitlines()
    return lines[-1] if lines else describe_error(error)
