"""A plan placed on a cluster: which trials train together, on what share of a node, how many."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass

from sweep.grid.expand import GridTrial
from sweep.messages import Message
from sweep.planning.cost import CostModel
from sweep.planning.plan import Plan
from sweep.planning.seed_groups import SeedGroup, group_seeds
from sweep.resources.capacity import Capacity, Share
from sweep.resources.gpu_sharing.measure import measure_gpu_shares, usable_capacity
from sweep.resources.gpu_sharing.shares import GpuShares
from sweep.resources.node_checks import require_nodes_ready
from sweep.resources.ray_cluster import Cluster

OnMessage = Callable[[Message], None]
ReportStage = Callable[[str], AbstractContextManager[None]]


@dataclass(frozen=True)
class Schedule:
    """One round of training: trials in the groups in which they start, each with its share.

    Attributes:
        plan: the plan whose trials these are.
        gpu_shares: how many trials of each cell share a GPU.
        is_remote: whether the trials are trained on a cluster's nodes.
        shares: what each trial gets of a node, by trial id; first in this round, then in later
            rounds, should it run out of memory.
        slots: how many groups are trained at once.
        groups: the trials that share a worker, in the order in which the groups start.
    """

    plan: Plan
    gpu_shares: GpuShares
    is_remote: bool
    shares: Mapping[str, tuple[Share, ...]]
    slots: int
    groups: tuple[SeedGroup, ...]

    def share(self, trial_id: str) -> Share:
        """Return what the trial gets of a node in this round."""
        return self.shares[trial_id][0]

    @property
    def extensible(self) -> frozenset[str]:
        """Ids of the trials that get a larger share in a later round if they run out of memory."""
        return frozenset(trial_id for trial_id, shares in self.shares.items() if len(shares) > 1)

    def next_round(self, trials: Sequence[GridTrial], costs: CostModel) -> Schedule:
        """Return the schedule of trials that ran out of memory, with their next larger shares.

        Args:
            trials: the trials, all of them `extensible`.
            costs: how long an epoch takes, as far as this round has shown.
        """
        shares = {trial.trial_id: self.shares[trial.trial_id][1:] for trial in trials}
        return _build_schedule(self.plan, self.gpu_shares, self.is_remote, trials, shares, costs)


def make_schedule(
    plan: Plan, cluster: Cluster, on_message: OnMessage, report_stage: ReportStage
) -> Schedule:
    """Return the schedule of the plan's trials, after measuring how many trials share a GPU.

    The measurement is left out where it takes longer than it saves.

    Args:
        plan: what is to be trained.
        cluster: the connection to Ray; its nodes have been checked (`check_cluster`).
        on_message: receives messages for the user.
        report_stage: a context manager that describes a measurement to a person.
    """
    capacity, remote = usable_capacity(plan.grid, cluster, on_message), cluster.is_remote
    gpu_shares = measure_gpu_shares(plan, capacity, on_message, report_stage, is_remote=remote)
    trials = plan.missing()
    shares = {trial.trial_id: tuple(gpu_shares.shares(trial)) for trial in trials}
    return _build_schedule(plan, gpu_shares, remote, trials, shares, plan.costs)


def check_cluster(plan: Plan, cluster: Cluster, report_stage: ReportStage) -> Capacity:
    """Return the CPUs and GPUs to train on, after checks of the nodes.

    Raises:
        RefusedError: if a trial fits on no node, or a node cannot train the plan's trials.
    """
    capacity = cluster.capacity
    share = capacity.shares(plan.grid)[0]
    capacity.slots(share)
    if cluster.is_remote:
        with report_stage("checking the nodes"):
            require_nodes_ready(plan, capacity, share)
    return capacity


def _build_schedule(
    plan: Plan,
    gpu_shares: GpuShares,
    is_remote: bool,
    trials: Sequence[GridTrial],
    shares: Mapping[str, tuple[Share, ...]],
    costs: CostModel,
) -> Schedule:
    """Return the schedule of these trials, with the slots and groups that follow from shares."""
    first = {trial_id: some[0] for trial_id, some in shares.items()}
    slots = gpu_shares.slots(plan, first, costs)
    groups = tuple(group_seeds(plan, trials, slots, costs))
    return Schedule(plan, gpu_shares, is_remote, shares, slots, groups)
