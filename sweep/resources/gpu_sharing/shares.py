"""The share of a GPU that each trial of a run gets; with `gpu: auto` by its cell's measurement."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from sweep.errors import RefusedError
from sweep.grid.expand import GridTrial
from sweep.grid.model import Grid
from sweep.planning.cost import CostModel, steps_per_epoch
from sweep.planning.feasibility import FeasibleGrid
from sweep.planning.plan import Plan
from sweep.resources.capacity import Capacity, Share
from sweep.resources.gpu_sharing import mps
from sweep.resources.gpu_sharing.measurements import load, summarise_measurements, workload_id
from sweep.resources.gpu_sharing.throughput import MAX_PROCESSES
from sweep.wording import count_noun

LEAST_STEP_S = 2e-3
"""Seconds of the fastest step on a GPU, which are the time of calls to the GPU."""

PROBE_S = 30.0
"""Seconds that the measurement of a cell takes, roughly."""

MAX_PROBING_SHARE = 0.1
"""Of the time that the training is expected to take, cells are measured for no more."""


@dataclass(frozen=True)
class GpuShares:
    """How many trials share a GPU, cell by cell.

    Attributes:
        grid: the grid of the trials.
        capacity: the CPUs and GPUs of the cluster.
        per_gpu: trials per GPU, by `workload_id`; 1 for a cell that is missing.
    """

    grid: FeasibleGrid
    capacity: Capacity
    per_gpu: Mapping[str, int] = field(default_factory=dict)

    def shares(self, trial: GridTrial) -> list[Share]:
        """Return the share of a trial, then larger shares for when it runs out of memory."""
        number = self.per_gpu.get(workload_id(self.grid, trial), 1)
        return self.capacity.shares(self.grid, number)

    def slots_at_first(self, plan: Plan) -> int:
        """Return how many of the missing trials run at once if each has its first share."""
        return self.slots(plan, {t.trial_id: self.shares(t)[0] for t in plan.missing()})

    def slots(self, plan: Plan, shares: Mapping[str, Share], costs: CostModel | None = None) -> int:
        """Return how many trials run at once: where shares differ, the mean over their time.

        Args:
            plan: says how long each trial takes.
            shares: the share of each trial, by id.
            costs: the costs of trials; None for the plan's.

        Raises:
            RefusedError: a share fits on no node.
        """
        costs = costs or plan.costs
        at_once = {share: self.capacity.slots(share) for share in set(shares.values())}
        seconds = {
            t.trial_id: max(costs.remaining_s(t, plan.epochs_done(t)), 1e-9)
            for t in plan.grid.trials
        }
        total = sum(seconds[trial_id] for trial_id in shares)
        occupied = sum(seconds[trial_id] / at_once[share] for trial_id, share in shares.items())
        return max(1, round(total / occupied)) if occupied else 1


def unmeasured_cells(
    plan: Plan, trials: Iterable[GridTrial], known: Iterable[str]
) -> list[GridTrial]:
    """Return one trial of each cell whose `workload_id` is not among the known ones."""
    first, measured = dict[str, GridTrial](), set(known)
    for trial in trials:
        first.setdefault(workload_id(plan.grid, trial), trial)
    return [first[workload] for workload in first if workload not in measured]


def reason_not_measured(plan: Plan, capacity: Capacity, cells: Sequence[GridTrial]) -> str | None:
    """Return why measuring these cells would take longer than it saves; None if it pays."""
    missing = plan.missing()
    num_gpus = int(sum(node["GPU"] for node in capacity.gpu_nodes))
    if len(missing) <= num_gpus:
        return "there are no more trials than GPUs"
    if max_trials_per_gpu(plan.grid, capacity) < 2:
        return f"beside a GPU there are not CPUs for two trials ({plan.grid.resources.cpu:g} each)"
    if PROBE_S * len(cells) > MAX_PROBING_SHARE * _expected_s(plan, missing) / num_gpus:
        return "the training is too short for it to pay"
    return None


def max_trials_per_gpu(grid: Grid, capacity: Capacity) -> int:
    """Return how many trials may share a GPU at most, by the CPUs beside it."""
    return min(MAX_PROCESSES, capacity.most_per_gpu(float(grid.resources.cpu)))


def _expected_s(plan: Plan, trials: Sequence[GridTrial]) -> float:
    """Return the expected seconds of the trials, one after the other.

    Without measured costs, a lower bound: `LEAST_STEP_S` per step.
    """
    if plan.costs.is_measured:
        return sum(plan.remaining_s(trial) for trial in trials)
    epochs = [trial.spec.train.epochs - plan.epochs_done(trial) for trial in trials]
    steps = sum(n * steps_per_epoch(trial) for n, trial in zip(epochs, trials, strict=True))
    return LEAST_STEP_S * steps


def forecast_shares(plan: Plan) -> dict[str, int | None]:
    """Return trials per GPU of the missing trials' cells, by `workload_id`; None: not measured.

    Measurements on any GPU count. The result is empty where the grid itself states the share.
    """
    if plan.grid.resources.gpu != "auto":
        return {}
    known = load(plan.folder)
    wanted = dict.fromkeys(workload_id(plan.grid, trial) for trial in plan.missing())
    return {w: known[w].probe.trials_per_device() if w in known else None for w in wanted}


def format_share_forecast(plan: Plan, num_gpus: int) -> str | None:
    """Return the line of `plan` on trials that share a GPU; None where there is nothing to say."""
    found = forecast_shares(plan)
    known = {workload: number for workload, number in found.items() if number is not None}
    if not found or not (known or num_gpus):
        return None
    about = f"; {mps.format_mps_state(mps.mps_state())}" if num_gpus else ""
    if not known:
        return f"1 trial per GPU until `run` has measured how many train fastest{about}"
    unknown = len(found) - len(known)
    until = f", 1 until measured in {count_noun(unknown, 'other cell')}" if unknown else ""
    return f"{summarise_measurements(known)}, as measured{until}{about}"


def count_local_gpus(grid: Grid) -> int:
    """Return the number of GPUs that PyTorch sees here; 0 where the grid wants none."""
    if grid.resources.gpu == 0:
        return 0
    import torch

    return torch.cuda.device_count()


def count_local_slots(plan: Plan, num_cpus: int, num_gpus: int) -> int:
    """Return how many of the missing trials run at once on a machine of that size, at least 1."""
    gpus = {"GPU": float(num_gpus)} if num_gpus else {}
    capacity = Capacity([{"CPU": float(num_cpus), **gpus}])
    per_gpu = {workload: number or 1 for workload, number in forecast_shares(plan).items()}
    gpu_shares = GpuShares(plan.grid, capacity, per_gpu)
    try:
        return gpu_shares.slots_at_first(plan)
    except RefusedError:  # made for other machines
        return max(1, int(num_cpus // plan.grid.resources.cpu))
