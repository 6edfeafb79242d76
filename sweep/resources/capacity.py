"""What there is to train on, and how much of it a trial occupies."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sweep.errors import RefusedError
from sweep.grid.model import Grid


@dataclass(frozen=True)
class Share:
    """What one trial occupies of the cluster."""

    cpu: float
    gpu: float

    @property
    def device(self) -> str:
        """Where the trial is trained."""
        return "cuda" if self.gpu else "cpu"

    @property
    def amounts(self) -> dict[str, float]:
        """What is needed of each of Ray's resources, where something is."""
        return {kind: n for kind, n in (("CPU", self.cpu), ("GPU", self.gpu)) if n}

    def __str__(self) -> str:
        return ", ".join(f"{amount:g} {kind}" for kind, amount in self.amounts.items())


@dataclass(frozen=True)
class Capacity:
    """The resources of each node: of those that are there, and of all that may come.

    A cluster that grows with its work may have no worker yet; `expected` then has what its
    configuration allows, and is otherwise the same as `nodes`.
    """

    nodes: Sequence[Mapping[str, float]]
    expected: Sequence[Mapping[str, float]] = ()

    @property
    def all_nodes(self) -> Sequence[Mapping[str, float]]:
        """The nodes to reckon with."""
        return max(self.nodes, self.expected, key=lambda nodes: sum(map(_size, nodes)))

    def shares(self, grid: Grid, trials_per_gpu: int = 1) -> list[Share]:
        """What a trial gets, and ever more for those that ran out of memory with that.

        A share of a GPU doubles up to the whole; on CPUs a trial is at last alone on its machine.
        With `gpu: auto` a GPU is for `trials_per_gpu`.
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
        if grid.resources.gpu == "auto":
            return 1 / trials_per_gpu if self.gpu_nodes else 0.0
        return float(grid.resources.gpu)

    @property
    def gpu_nodes(self) -> list[Mapping[str, float]]:
        """The nodes to reckon with that have a GPU."""
        return [node for node in self.all_nodes if node.get("GPU")]

    def without_gpus(self) -> Capacity:
        """Return the capacity of the same nodes, if none of them had a GPU."""
        return Capacity(
            *(
                [{kind: n for kind, n in node.items() if kind != "GPU"} for node in nodes]
                for nodes in (self.nodes, self.expected)
            )
        )

    def most_per_gpu(self, cpu: float) -> int:
        """For how many trials there are CPUs beside each GPU, if a trial wants so many."""
        beside = [node.get("CPU", 0.0) / node["GPU"] for node in self.gpu_nodes]
        return int(min(beside, default=0.0) // cpu)

    @property
    def gpu_kinds(self) -> str:
        """The GPUs' names as Ray tells them, such as `H100`; `GPU` where it does not."""
        prefix = "accelerator_type:"
        names = {key.removeprefix(prefix) for n in self.gpu_nodes for key in n if prefix in key}
        return ", ".join(sorted(names)) or "GPU"

    def slots(self, share: Share) -> int:
        """How many trials can run at once; `RefusedError` if not even one fits on a node."""
        slots = sum(_fitting(node, share) for node in self.all_nodes)
        if slots < 1:
            nodes = [f"{n.get('CPU', 0):g} CPU, {n.get('GPU', 0):g} GPU" for n in self.all_nodes]
            there = " | ".join(dict.fromkeys(nodes))
            raise RefusedError(f"a trial wants {share} (`resources`), but there is only {there}")
        return slots

    def has_room(self, share: Share) -> bool:
        """Whether a node that is there now can take a trial, if it is idle."""
        return any(_fitting(node, share) for node in self.nodes)


def _size(node: Mapping[str, float]) -> float:
    return node.get("CPU", 0.0) + node.get("GPU", 0.0)


def _fitting(node: Mapping[str, float], share: Share) -> int:
    return min(int(node.get(kind, 0) // amount) for kind, amount in share.amounts.items())
