"""Measures, before a run, how many trials of each cell share a GPU, where measuring pays."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import replace
from typing import Any

from sweep.errors import RefusedError
from sweep.grid.expand import GridTrial
from sweep.grid.model import Grid
from sweep.planning.cost import cell_of
from sweep.planning.plan import Plan
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

Say = Callable[[str], None]
ShowProgress = Callable[[str], AbstractContextManager[None]]


def drop_unusable_gpus(grid: Grid, cluster: Cluster, say: Say) -> Grid:
    """Return the grid, with `gpu: 0` if PyTorch cannot use the GPU of this machine.

    A cluster's nodes are checked by `sweep.resources.node_checks`.

    Args:
        grid: the grid whose `resources` may ask for a GPU.
        cluster: the connection to Ray.
        say: called with a line where the GPU cannot be used.

    Raises:
        RefusedError: the grid asks for a share of the GPU.
    """
    share = cluster.capacity.shares(grid)[0]
    if cluster.is_remote or share.device != "cuda":
        return grid
    import torch

    if torch.cuda.is_available():
        return grid
    here = f"Ray counts a GPU on this machine, but PyTorch {torch.__version__} sees none"
    if grid.resources.gpu != "auto":
        raise RefusedError(f"{here}; mend its driver, or say `resources: {{gpu: 0}}`")
    say(f"note: {here}: training on the CPUs")
    return replace(grid, resources=grid.resources.model_copy(update={"gpu": 0}))


def measure_gpu_shares(
    plan: Plan, cluster: Cluster, say: Say, show_progress: ShowProgress
) -> GpuShares:
    """Return the shares of the run's trials, measured where they are not known.

    A cell that cannot be measured gets a whole GPU for each trial.

    Args:
        plan: the run's trials.
        cluster: where cells are measured.
        say: called with a line on how many trials share a GPU, and why.
        show_progress: a context that shows a text while a cell is measured.
    """
    grid, capacity = plan.grid, cluster.capacity
    whole_gpus = GpuShares(grid, capacity)
    if grid.resources.gpu != "auto" or not capacity.gpu_nodes:
        return whole_gpus
    daemon = None if cluster.is_remote else mps.mps_state()
    setting = Setting(capacity.gpu_kinds, daemon)
    stored = load(plan.folder)
    known = {w: measured for w, measured in stored.items() if measured.setting == setting}
    cells = unmeasured_cells(plan, plan.missing(), known)
    why_not = reason_not_measured(plan, capacity, cells) if cells else None
    if cells and why_not is None:
        for trial, probe in _measure_cells(grid, cluster, cells, say, show_progress):
            name = trial.name.rpartition("-s")[0]
            known[workload_id(grid, trial)] = CellMeasurement(probe, setting, name)
            save(plan.folder, {**stored, **known})
    most = max(1, max_trials_per_gpu(grid, capacity))
    workloads = dict.fromkeys(workload_id(grid, trial) for trial in plan.missing())
    per_gpu = {w: known[w].probe.trials_per_device(most) if w in known else 1 for w in workloads}
    because = f", since {why_not}" if why_not else ""
    about = f"; {mps.format_mps_state(daemon)}" if daemon else ""
    say(f"{summarise_measurements(per_gpu)}{because}{about}")
    return GpuShares(grid, capacity, per_gpu)


def _measure_cells(
    grid: Grid, cluster: Cluster, cells: Sequence[GridTrial], say: Say, show_progress: ShowProgress
) -> Iterator[tuple[GridTrial, ThroughputProbe]]:
    """Yield each cell that can be measured, with its probe; hold one GPU meanwhile."""
    import ray
    from ray.exceptions import RayActorError

    most = max_trials_per_gpu(grid, cluster.capacity)
    cpu = float(grid.resources.cpu)
    import_paths = () if cluster.is_remote else grid.import_paths
    pool_class: Any = ray.remote(ProbeProcessPool).options(num_gpus=1, num_cpus=most * cpu)
    actor = pool_class.remote(import_paths, grid.folder)
    try:
        for number, trial in enumerate(cells, start=1):
            what = f"measuring cells on a GPU ({number} of {len(cells)})"
            try:
                with show_progress(what):
                    call = actor.probe.remote(_workload(grid, trial), most)
                    probe = ray.get(call, timeout=2 * PROBE_TIMEOUT_S)
            except RayActorError as error:
                say(f"note: trials on a GPU could not be measured: {_last_line(error)}")
                break
            except Exception as error:
                say(f"note: {trial.name} could not be measured on a GPU: {_last_line(error)}")
            else:
                yield trial, probe
    finally:
        ray.kill(actor)


def _workload(grid: Grid, trial: GridTrial) -> WorkloadSpec:
    """Return the trial, or as many seeds of its cell as a worker trains side by side."""
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
    lines = str(error).strip().splitlines()
    return lines[-1] if lines else describe_error(error)
