"""What each trial of a run occupies, with `gpu: auto` by what was measured of its cell."""

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
"""No step of a network on a GPU is much faster, as nothing but calls to it."""

PROBE_S = 30.0
"""About what it takes to measure a cell."""

MOST_PROBING = 0.1
"""Of the time that the training is expected to take."""


@dataclass(frozen=True)
class GpuShares:
    """The shares of the trials. `per_gpu`: of how many trials a GPU is, by `workload_id`.

    A cell that is not in it has one trial per GPU.
    """

    grid: FeasibleGrid
    capacity: Capacity
    per_gpu: Mapping[str, int] = field(default_factory=dict)

    def shares(self, trial: GridTrial) -> list[Share]:
        """What the trial gets, and ever more should that be too little memory."""
        number = self.per_gpu.get(workload_id(self.grid, trial), 1)
        return self.capacity.shares(self.grid, number)

    def slots_at_first(self, plan: Plan) -> int:
        """How many of the missing trials run at once, before any has run out of memory."""
        return self.slots(plan, {t.trial_id: self.shares(t)[0] for t in plan.missing()})

    def slots(self, plan: Plan, shares: Mapping[str, Share], costs: CostModel | None = None) -> int:
        """How many trials run at once: the mean over their time, where shares differ.

        `shares` are those of trials by their ids; `RefusedError` if one fits on no node. `costs`
        are the plan's, unless others are given.
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
    """The first of each cell's trials, of the cells that are not known."""
    first, there = dict[str, GridTrial](), set(known)
    for trial in trials:
        first.setdefault(workload_id(plan.grid, trial), trial)
    return [first[workload] for workload in first if workload not in there]


def reason_not_measured(plan: Plan, capacity: Capacity, cells: Sequence[GridTrial]) -> str | None:
    """Why it is not worth while to measure these cells; None where it is."""
    missing = plan.missing()
    num_gpus = int(sum(node["GPU"] for node in capacity.gpu_nodes))
    if len(missing) <= num_gpus:
        return "there are no more trials than GPUs"
    if max_trials_per_gpu(plan.grid, capacity) < 2:
        return f"beside a GPU there are not CPUs for two trials ({plan.grid.resources.cpu:g} each)"
    if PROBE_S * len(cells) > MOST_PROBING * _expected_s(plan, missing) / num_gpus:
        return "the training is too short for it to pay"
    return None


def max_trials_per_gpu(grid: Grid, capacity: Capacity) -> int:
    """How many trials may share a GPU, whatever is measured."""
    return min(MAX_PROCESSES, capacity.most_per_gpu(float(grid.resources.cpu)))


def _expected_s(plan: Plan, trials: Sequence[GridTrial]) -> float:
    if plan.costs.is_measured:
        return sum(plan.remaining_s(trial) for trial in trials)
    epochs = [trial.spec.train.epochs - plan.epochs_done(trial) for trial in trials]
    steps = sum(n * steps_per_epoch(trial) for n, trial in zip(epochs, trials, strict=True))
    return LEAST_STEP_S * steps


def forecast_shares(plan: Plan) -> dict[str, int | None]:
    """Trials per GPU of the missing trials' cells, by `workload_id`; None where it is not known.

    On whatever it was measured; empty where the grid says by itself.
    """
    if plan.grid.resources.gpu != "auto":
        return {}
    known = load(plan.folder)
    wanted = dict.fromkeys(workload_id(plan.grid, trial) for trial in plan.missing())
    return {w: known[w].probe.trials_per_device() if w in known else None for w in wanted}


def format_share_forecast(plan: Plan, num_gpus: int) -> str | None:
    """What `plan` says of trials that share a GPU; None where there is nothing to say."""
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
    """The GPUs of this machine that PyTorch sees; 0 where the grid wants none."""
    if grid.resources.gpu == 0:
        return 0
    import torch

    return torch.cuda.device_count()


def count_local_slots(plan: Plan, num_cpus: int, num_gpus: int) -> int:
    """How many of the missing trials run at once on such a machine, at least one."""
    gpus = {"GPU": float(num_gpus)} if num_gpus else {}
    capacity = Capacity([{"CPU": float(num_cpus), **gpus}])
    per_gpu = {workload: number or 1 for workload, number in forecast_shares(plan).items()}
    packing = GpuShares(plan.grid, capacity, per_gpu)
    try:
        return packing.slots_at_first(plan)
    except RefusedError:  # made for other machines
        return max(1, int(num_cpus // plan.grid.resources.cpu))
