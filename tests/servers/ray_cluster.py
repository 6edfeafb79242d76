"""A Ray cluster of several nodes on this machine, each with a working folder of its own.

Run as a program it serves the nodes: a line `add {json}` starts one (`cwd`, `env`, `num_cpus`,
`num_gpus`), `kill N` takes the N-th one down without a word, and each answers with a line.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from marked_processes import kill_marked, new_mark


class RayCluster:
    """The cluster's address, and what may happen to it."""

    def __init__(self, folder: Path, mark: dict[str, str]) -> None:
        self.folder = folder
        environment = {k: v for k, v in os.environ.items() if not k.startswith("RAY_")}
        self.process = subprocess.Popen(
            [sys.executable, __file__],
            cwd=folder,
            env={**environment, **mark},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=open(folder / "cluster.log", "wb"),  # noqa: SIM115
            text=True,
            start_new_session=True,
        )
        self.num_nodes = 0
        self.address = self._answer()

    def add(self, num_cpus: int = 1, num_gpus: int = 0, **env: str) -> int:
        """Start a node in a folder of its own; returns its number, counted from 0.

        Its GPUs are what Ray is told of.
        """
        number, self.num_nodes = self.num_nodes, self.num_nodes + 1
        cwd = self.folder_of(number)
        cwd.mkdir()
        node = {"cwd": str(cwd), "env": env, "num_cpus": num_cpus, "num_gpus": num_gpus}
        self._tell(f"add {json.dumps(node)}")
        return number

    def folder_of(self, number: int) -> Path:
        """The working folder of a node's processes."""
        return self.folder / f"node{number}"

    def kill(self, number: int) -> None:
        """Take a node down, with all that runs on it."""
        self._tell(f"kill {number}")

    def _tell(self, line: str) -> str:
        assert self.process.stdin is not None
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()
        return self._answer()

    def _answer(self) -> str:
        assert self.process.stdout is not None
        line = self.process.stdout.readline().strip()
        assert line, (self.folder / "cluster.log").read_text()[-3000:]
        return line


@contextmanager
def ray_cluster(folder: Path) -> Iterator[RayCluster]:
    """A head that trains nothing; ended with all its nodes at the end."""
    mark = new_mark()
    try:
        yield RayCluster(folder, mark)
    finally:
        kill_marked(mark)


def serve() -> None:
    """Start a head, and nodes as they are asked for."""
    from ray.cluster_utils import Cluster

    answers = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)  # Ray's own lines
    cluster = Cluster(
        initialize_head=True, head_node_args={"num_cpus": 0, "include_dashboard": False}
    )
    answers.write(f"{cluster.address}\n")
    nodes = []
    for line in sys.stdin:
        what, _, rest = line.partition(" ")
        if what == "add":
            wanted = json.loads(rest)
            os.chdir(wanted["cwd"])
            amounts = {kind: wanted[kind] for kind in ("num_cpus", "num_gpus")}
            nodes.append(cluster.add_node(**amounts, env_vars=wanted["env"]))
        elif what == "kill":
            cluster.remove_node(nodes[int(rest)], allow_graceful=False)
        answers.write("done\n")


if __name__ == "__main__":
    serve()
