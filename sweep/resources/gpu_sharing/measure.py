"""Before a run: what its trials take of the GPUs, measured where that is not known and pays."""

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
Waiting = Callable[[str], AbstractContextManager[None]]


def drop_unusable_gpus(grid: Grid, cluster: Cluster, say: Say) -> Grid:
    """The grid, to be trained on the CPUs where this machine's GPU is none for PyTorch.

    Raises `RefusedError` where the grid asks for a part of a GPU. The nodes of a cluster are
    looked at by `sweep.resources.node_checks`.
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


def measure_gpu_shares(plan: Plan, cluster: Cluster, say: Say, waiting: Waiting) -> GpuShares:
    """The shares of the run's trials; says in a line how many share a GPU, and why.

    What cannot be measured has a GPU to itself: nothing fails for it.
    """
    grid, capacity = plan.grid, cluster.capacity
    whole = GpuShares(grid, capacity)
    if grid.resources.gpu != "auto" or not capacity.gpu_nodes:
        return whole
    daemon = None if cluster.is_remote else mps.mps_state()
    setting = Setting(capacity.gpu_kinds, daemon)
    kept = load(plan.folder)
    known = {w: k for w, k in kept.items() if k.setting == setting}
    cells = unmeasured_cells(plan, plan.missing(), known)
    why_not = reason_not_measured(plan, capacity, cells) if cells else None
    if cells and why_not is None:
        for trial, probe in _measured(grid, cluster, cells, say, waiting):
            name = trial.name.rpartition("-s")[0]
            known[workload_id(grid, trial)] = CellMeasurement(probe, setting, name)
            save(plan.folder, {**kept, **known})
    most = max(1, max_trials_per_gpu(grid, capacity))
    workloads = dict.fromkeys(workload_id(grid, trial) for trial in plan.missing())
    per_gpu = {w: known[w].probe.trials_per_device(most) if w in known else 1 for w in workloads}
    because = f", since {why_not}" if why_not else ""
    about = f"; {mps.format_mps_state(daemon)}" if daemon else ""
    say(f"{summarise_measurements(per_gpu)}{because}{about}")
    return GpuShares(grid, capacity, per_gpu)


def _measured(
    grid: Grid, cluster: Cluster, cells: Sequence[GridTrial], say: Say, waiting: Waiting
) -> Iterator[tuple[GridTrial, ThroughputProbe]]:
    """The probe of each cell that can be measured, on a GPU of the cluster, held meanwhile."""
    import ray
    from ray.exceptions import RayActorError

    most = max_trials_per_gpu(grid, cluster.capacity)
    cpu = float(grid.resources.cpu)
    import_paths = () if cluster.is_remote else grid.import_paths
    whole: Any = ray.remote(ProbeProcessPool).options(num_gpus=1, num_cpus=most * cpu)
    actor = whole.remote(import_paths, grid.folder)
    try:
        for number, trial in enumerate(cells, start=1):
            what = f"measuring cells on a GPU ({number} of {len(cells)})"
            try:
                with waiting(what):
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
