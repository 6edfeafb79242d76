"""Before anything is scheduled on a cluster: each node has the same software, and all it needs."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from sweep.errors import RefusedError
from sweep.planning.feasibility import custom_data_sets
from sweep.planning.plan import Plan
from sweep.resources import node_probe as visit
from sweep.resources.capacity import Capacity, Share
from sweep.resources.node_requirements import (
    NodeRequirements,
    missing_requirements,
    read_with_retries,
)

ANSWER_S = 300.0
"""A node that has not answered after so long (a download of data included) is not usable."""

PROBE_CPUS = 0.001
"""So much of a GPU is taken to look at it: without a share Ray may hide all of them."""

NODE_WAIT_S = 30.0
"""A GPU of which no sliver is free for so long is in use, and so fit to be used."""


@dataclass(frozen=True)
class Node:
    """A node by Ray's id, and by what a person calls it."""

    node_id: str
    name: str


def require_nodes_ready(plan: Plan, capacity: Capacity, share: Share) -> None:
    """Visit every node of the cluster; `RefusedError` with a line per problem and its nodes.

    A cluster without a worker is first made to start one, so that there is one to visit.
    """
    import ray

    ray.cloudpickle.register_pickle_by_value(visit)  # type: ignore[no-untyped-call]
    if not capacity.has_room(share):
        cpu, gpu = share.cpu, share.gpu
        ray.get(ray.remote(visit.installed_software).options(num_cpus=cpu, num_gpus=gpu).remote())
    here, problems = visit.installed_software(), dict[Node, list[str]]()
    for node, there in _on_each_node(lambda node: (visit.installed_software, ())).items():
        problems[node] = [there] if isinstance(there, str) else _differences(here, there)
    _refuse(problems)
    if share.gpu:
        _refuse(_blind_nodes())
    with _marker(plan) as needs:
        answers = _on_each_node(lambda node: (missing_requirements, (needs, _reply(needs, node))))
        storage = plan.folder.storage
        for node, missing in answers.items():
            problems[node] = [missing] if isinstance(missing, str) else missing
            if not missing and read_with_retries(storage, _reply(needs, node)) is None:
                problems[node] = [f"what it writes to {storage.uri} does not reach the driver"]
            storage.delete(_reply(needs, node))
    _refuse(problems)


def _blind_nodes() -> dict[Node, list[str]]:
    """The nodes with a GPU that PyTorch cannot use there, each with a line."""
    answers = _on_each_node(
        lambda _: (visit.sees_cuda, ()),
        among=_living("GPU"),
        gpu=PROBE_CPUS,
        patience_s=NODE_WAIT_S,
    )
    line = (
        "Ray counts a GPU there, but PyTorch sees none; mend its driver, or say "
        "`resources: {gpu: 0}`"
    )
    return {node: [line] for node, sees in answers.items() if sees is False}


def _on_each_node(
    work: Callable[[Node], tuple[Any, tuple[Any, ...]]],
    *,
    among: Sequence[Node] | None = None,
    gpu: float = 0,
    patience_s: float = ANSWER_S,
) -> dict[Node, Any]:
    """What a call returns on every living node (`among` these); a line of text where it raised."""
    import ray
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    calls = {}
    for node in _living() if among is None else among:
        function, arguments = work(node)
        there = NodeAffinitySchedulingStrategy(node.node_id, soft=False)
        remote = ray.remote(function).options(
            num_cpus=0, num_gpus=gpu, scheduling_strategy=there, max_retries=1
        )
        calls[node] = remote.remote(*arguments)
    _, late = ray.wait(list(calls.values()), num_returns=len(calls), timeout=patience_s)
    answers: dict[Node, Any] = {}
    for node, call in calls.items():
        try:
            late_line = f"has not answered within {patience_s:.0f} s"
            answers[node] = late_line if call in late else ray.get(call)
        except Exception as error:  # whatever a strange node makes of it
            answers[node] = f"cannot run a task: {_last_line(error)}"
    living = set(_living())
    return {node: answer for node, answer in answers.items() if node in living}


def _living(resource: str | None = None) -> list[Node]:
    """The living nodes; those that have some of the resource, if one is named."""
    import ray

    nodes = [node for node in ray.nodes() if node["Alive"]]  # type: ignore[no-untyped-call]
    if resource is not None:
        nodes = [node for node in nodes if node["Resources"].get(resource)]
    return [
        Node(node["NodeID"], f"{node['NodeManagerHostname']} ({node['NodeManagerAddress']})")
        for node in nodes
    ]


def _differences(here: Mapping[str, str | None], there: Mapping[str, str | None]) -> list[str]:
    if there["norm-sweep"] is None or there["norm-sweep's code"] is None:
        return ["norm-sweep is not installed; install on every node what the driver has"]
    return [
        f"{name} is {there[name] or 'missing'}, but the driver has {version or 'none'}; "
        f"install the same on every node"
        for name, version in here.items()
        if there[name] != version
    ]


@contextmanager
def _marker(plan: Plan) -> Iterator[NodeRequirements]:
    from trainables import data

    grid, storage = plan.grid, plan.folder.storage
    own = dict.fromkeys(name for trial in grid.trials for name in trial.spec.custom_names)
    needs = NodeRequirements(
        sweep_uri=storage.uri,
        marker=f".marker-{uuid.uuid4().hex[:12]}",
        data_names=tuple(dict.fromkeys(trial.spec.data.name for trial in grid.trials)),
        data_root=grid.data_root,
        folder=grid.folder,
        modules=tuple(dict.fromkeys(name.partition(":")[0] for name in own)),
        own_data=tuple(
            (spec, data.custom_dataset_facts(spec).digest) for spec in custom_data_sets(grid)
        ),
    )
    storage.write(needs.marker, b"seen by every node")
    try:
        yield needs
    finally:
        storage.delete(needs.marker)


def _reply(needs: NodeRequirements, node: Node) -> str:
    return f"{needs.marker}-{node.node_id[:16]}"


def _refuse(problems: Mapping[Node, list[str]]) -> None:
    """Raise with a line per problem, naming the nodes that have it, if there is any."""
    nodes: dict[str, list[str]] = {}
    for node, lines in problems.items():
        for line in lines:
            nodes.setdefault(line, []).append(node.name)
    if nodes:
        raise RefusedError(*(f"{_named(names)}: {line}" for line, names in nodes.items()))


def _named(names: list[str]) -> str:
    return ", ".join(names[:3]) + (f" and {len(names) - 3} more nodes" if len(names) > 3 else "")


def _last_line(error: Exception) -> str:
    lines = str(error).strip().splitlines() or [type(error).__name__]
    return lines[-1]
