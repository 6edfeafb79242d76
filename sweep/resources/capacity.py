"""The CPUs and GPUs of a machine or cluster, and the share of them that a trial occupies."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sweep.errors import RefusedError
from sweep.grid.model import Grid


@dataclass(frozen=True)
class Share:
    """The CPUs and GPUs that one trial occupies; `gpu` may be a part of one."""

    cpu: float
    gpu: float

    @property
    def device(self) -> str:
        """`cuda` or `cpu`: where the trial is trained."""
        return "cuda" if self.gpu else "cpu"

    @property
    def amounts(self) -> dict[str, float]:
        """Amounts of Ray's resources that the share needs, by name, without those of 0."""
        return {kind: n for kind, n in (("CPU", self.cpu), ("GPU", self.gpu)) if n}

    def __str__(self) -> str:
        return ", ".join(f"{amount:g} {kind}" for kind, amount in self.amounts.items())


@dataclass(frozen=True)
class Capacity:
    """The resources of each node of a cluster, by Ray's names.

    Attributes:
        nodes: of the nodes that run.
        expected: of the nodes that a cluster's launcher may start; empty where it starts none.
    """

    nodes: Sequence[Mapping[str, float]]
    expected: Sequence[Mapping[str, float]] = ()

    @property
    def all_nodes(self) -> Sequence[Mapping[str, float]]:
        """The running nodes or the expected ones, whichever are more."""
        return max(self.nodes, self.expected, key=lambda nodes: sum(map(_size, nodes)))

    def shares(self, grid: Grid, trials_per_gpu: int = 1) -> list[Share]:
        """Return the share of a trial, then larger shares for one that runs out of memory.

        A share of a GPU doubles up to the whole GPU; on CPUs the last share is a whole machine.

        Args:
            grid: its `resources` say what a trial gets.
            trials_per_gpu: how many trials share a GPU where the grid says `gpu: auto`.
        """
        cpu, gpu = float(grid.resources.cpu), self._gpus_per_trial(grid, trials_per_gpu)
        shares = [Share(cpu, gpu)]
        while 0 < shares[-1].gpu < 1:
            shares.append(Share(cpu, min(1.0, 2 * shares[-1].gpu)))
        largest = max((node.get("CPU", 0.0) for node in self.all_nodes), default=0.0)
        if not gpu and cpu < largest:
            shares.append(Share(largest, 0.0))
        return shares

    def _gpus_per_trial(self, grid: Grid, trials_per_gpu: int) -> float:
        """Return the GPUs that one trial gets, a fraction if several trials share a GPU."""
        if grid.resources.gpu == "auto":
            return 1 / trials_per_gpu if self.gpu_nodes else 0.0
        return float(grid.resources.gpu)

    @property
    def gpu_nodes(self) -> list[Mapping[str, float]]:
        """The nodes of `all_nodes` that have a GPU."""
        return [node for node in self.all_nodes if node.get("GPU")]

    def without_gpus(self) -> Capacity:
        """Return the capacity of the same nodes as if none of them had a GPU."""
        return Capacity(
            *(
                [{kind: n for kind, n in node.items() if kind != "GPU"} for node in nodes]
                for nodes in (self.nodes, self.expected)
            )
        )

    def most_per_gpu(self, cpu: float) -> int:
        """Return for how many trials of `cpu` CPUs beside each GPU the nodes have CPUs."""
        beside = [node.get("CPU", 0.0) / node["GPU"] for node in self.gpu_nodes]
        return int(min(beside, default=0.0) // cpu)

    @property
    def gpu_kinds(self) -> str:
        """The names of the GPUs, such as `H100`; `GPU` where Ray does not tell them."""
        prefix = "accelerator_type:"
        names = {key.removeprefix(prefix) for n in self.gpu_nodes for key in n if prefix in key}
        return ", ".join(sorted(names)) or "GPU"

    def slots(self, share: Share) -> int:
        """Return how many trials run at once; raise `RefusedError` if none fits on a node."""
        slots = sum(_count_fitting(node, share) for node in self.all_nodes)
        if slots < 1:
            nodes = [f"{n.get('CPU', 0):g} CPU, {n.get('GPU', 0):g} GPU" for n in self.all_nodes]
            there = " | ".join(dict.fromkeys(nodes))
            raise RefusedError(f"a trial wants {share} (`resources`), but there is only {there}")
        return slots

    def has_room(self, share: Share) -> bool:
        """Whether one of the running nodes is large enough for a trial."""
        return any(_count_fitting(node, share) for node in self.nodes)


def _size(node: Mapping[str, float]) -> float:
    """Return the number of CPUs and GPUs of a node."""
    return node.get("CPU", 0.0) + node.get("GPU", 0.0)


def _count_fitting(node: Mapping[str, float], share: Share) -> int:
    """Return how many shares a node has room for."""
    return min(int(node.get(kind, 0) // amount) for kind, amount in share.amounts.items())
