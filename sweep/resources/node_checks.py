"""Checks that each node of a cluster can train the trials, before anything is scheduled."""

from __future__ import annotations

import logging
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from sweep.errors import RefusedError
from sweep.planning.feasibility import custom_data_sets
from sweep.planning.plan import Plan
from sweep.resources import node_probe
from sweep.resources.capacity import Capacity, Share
from sweep.resources.node_requirements import (
    NodeRequirements,
    missing_requirements,
    read_with_retries,
)

logger = logging.getLogger(__name__)

ANSWER_S = 300.0
"""Seconds in which a node has to answer, a download of data included."""

PROBE_GPU_SHARE = 0.001
"""Share of a GPU that a check of the GPU takes: without a share Ray may hide all GPUs."""

GPU_WAIT_S = 30.0
"""Seconds to wait for a share of a GPU; a GPU that is fully in use can be used."""


@dataclass(frozen=True)
class Node:
    """A node of the cluster: Ray's id, host name and address."""

    node_id: str
    name: str


def require_nodes_ready(plan: Plan, capacity: Capacity, share: Share) -> None:
    """Check the software, GPUs, storage, modules and data of every node of the cluster.

    If the cluster has no worker node yet, a first one is requested and waited for.

    Raises:
        RefusedError: with a line per error, which names the nodes that have it.
    """
    import ray

    ray.cloudpickle.register_pickle_by_value(node_probe)  # type: ignore[no-untyped-call]
    if not capacity.has_room(share):
        cpu, gpu = share.cpu, share.gpu
        ray.get(
            ray.remote(node_probe.installed_software).options(num_cpus=cpu, num_gpus=gpu).remote()
        )
    here, errors = node_probe.installed_software(), dict[Node, list[str]]()
    for node, found in _run_on_nodes(lambda node: (node_probe.installed_software, ())).items():
        errors[node] = [found] if isinstance(found, str) else _software_differences(here, found)
    _refuse_errors(errors)
    if share.gpu:
        _refuse_errors(_nodes_without_cuda())
    with _marker_file(plan) as needs:
        answers = _run_on_nodes(
            lambda node: (missing_requirements, (needs, _reply_file(needs, node)))
        )
        storage = plan.folder.storage
        for node, missing in answers.items():
            errors[node] = [missing] if isinstance(missing, str) else missing
            if not missing and read_with_retries(storage, _reply_file(needs, node)) is None:
                errors[node] = [f"what it writes to {storage.uri} does not reach the driver"]
            storage.delete(_reply_file(needs, node))
    _refuse_errors(errors)
    logger.info("%d nodes are ready", len(errors))


def _nodes_without_cuda() -> dict[Node, list[str]]:
    """Return the nodes whose GPU PyTorch cannot use, each with a line that says so."""
    answers = _run_on_nodes(
        lambda _: (node_probe.sees_cuda, ()),
        nodes=_live_nodes("GPU"),
        gpu=PROBE_GPU_SHARE,
        timeout_s=GPU_WAIT_S,
    )
    line = (
        "Ray counts a GPU there, but PyTorch sees none; mend its driver, or say "
        "`resources: {gpu: 0}`"
    )
    return {node: [line] for node, sees in answers.items() if sees is False}


def _run_on_nodes(
    call_for: Callable[[Node], tuple[Any, tuple[Any, ...]]],
    *,
    nodes: Sequence[Node] | None = None,
    gpu: float = 0,
    timeout_s: float = ANSWER_S,
) -> dict[Node, Any]:
    """Call a function on nodes and return the results.

    Args:
        call_for: returns the function and its arguments for a node.
        nodes: the nodes; None: all live ones.
        gpu: share of a GPU that each call takes.
        timeout_s: seconds after which a node has not answered.

    Returns:
        The result of each node that is still alive; a line of text where the call failed.
    """
    import ray
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    calls = {}
    for node in _live_nodes() if nodes is None else nodes:
        function, arguments = call_for(node)
        there = NodeAffinitySchedulingStrategy(node.node_id, soft=False)
        remote = ray.remote(function).options(
            num_cpus=0, num_gpus=gpu, scheduling_strategy=there, max_retries=1
        )
        calls[node] = remote.remote(*arguments)
    _, late = ray.wait(list(calls.values()), num_returns=len(calls), timeout=timeout_s)
    answers: dict[Node, Any] = {}
    for node, call in calls.items():
        try:
            late_line = f"has not answered within {timeout_s:.0f} s"
            answers[node] = late_line if call in late else ray.get(call)
        except Exception as error:  # of any kind, on a node with other software
            answers[node] = f"cannot run a task: {_last_line(error)}"
    live = set(_live_nodes())
    return {node: answer for node, answer in answers.items() if node in live}


def _live_nodes(resource: str | None = None) -> list[Node]:
    """Return the live nodes; with `resource`, only the nodes that have some of this resource."""
    import ray

    nodes = [node for node in ray.nodes() if node["Alive"]]  # type: ignore[no-untyped-call]
    if resource is not None:
        nodes = [node for node in nodes if node["Resources"].get(resource)]
    return [
        Node(node["NodeID"], f"{node['NodeManagerHostname']} ({node['NodeManagerAddress']})")
        for node in nodes
    ]


def _software_differences(
    here: Mapping[str, str | None], there: Mapping[str, str | None]
) -> list[str]:
    """Return a line for each software whose version on a node is not the driver's."""
    if there["norm-sweep"] is None or there["norm-sweep's code"] is None:
        return ["norm-sweep is not installed; install on every node what the driver has"]
    return [
        f"{name} is {there[name] or 'missing'}, but the driver has {version or 'none'}; "
        f"install the same on every node"
        for name, version in here.items()
        if there[name] != version
    ]


@contextmanager
def _marker_file(plan: Plan) -> Iterator[NodeRequirements]:
    """Within the block, a marker file is in the storage; yield what each node needs."""
    from trainables import data

    grid, storage = plan.grid, plan.folder.storage
    custom = dict.fromkeys(name for trial in grid.trials for name in trial.spec.custom_names)
    needs = NodeRequirements(
        sweep_uri=storage.uri,
        marker=f".marker-{uuid.uuid4().hex[:12]}",
        data_names=tuple(dict.fromkeys(trial.spec.data.name for trial in grid.trials)),
        data_root=grid.data_root,
        folder=grid.folder,
        modules=tuple(dict.fromkeys(name.partition(":")[0] for name in custom)),
        custom_data=tuple(
            (spec, data.custom_dataset_facts(spec).digest) for spec in custom_data_sets(grid)
        ),
    )
    storage.write(needs.marker, b"seen by every node")
    try:
        yield needs
    finally:
        storage.delete(needs.marker)


def _reply_file(needs: NodeRequirements, node: Node) -> str:
    """Return the name of the file by which a node shows that it can write to the storage."""
    return f"{needs.marker}-{node.node_id[:16]}"


def _refuse_errors(errors: Mapping[Node, list[str]]) -> None:
    """Raise `RefusedError` with a line per error, which names its nodes, if there is any."""
    nodes: dict[str, list[str]] = {}
    for node, lines in errors.items():
        for line in lines:
            nodes.setdefault(line, []).append(node.name)
    if nodes:
        raise RefusedError(*(f"{_join_names(names)}: {line}" for line, names in nodes.items()))


def _join_names(names: list[str]) -> str:
    """Return up to three names of nodes, and the number of further ones."""
    return ", ".join(names[:3]) + (f" and {len(names) - 3} more nodes" if len(names) > 3 else "")


def _last_line(error: Exception) -> str:
    """Return the last line of an error's message, or the error's type."""
    lines = str(error).strip().splitlines() or [type(error).__name__]
    return lines[-1]
