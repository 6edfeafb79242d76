"""A cluster under Ray's launcher with what a sweep on it needs, and what is done there."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from hosts import Host
from laptop import Laptop
from mlflow_server import MlflowServer
from waiting import until

GRID: dict[str, Any] = {
    "name": "small",
    "factors": {"norm": ["groupnorm"], "batch_size": [16], "seed": 2},
    "data": {"name": "digits", "num_train": 256, "num_test": 64},
    "model": {"name": "resnet8", "width": 8},
    "train": {"epochs": 25, "optimizer": {"lr": 0.02}},
    "resources": {"cpu": os.cpu_count()},  # one trial per host
}


@dataclass
class Site:
    """Three hosts under one launcher, a tracking server, a folder that all of them see."""

    hosts: list[Host]
    laptop: Laptop
    tracking: MlflowServer
    shared: Path

    def put_grid(self, **changes: Any) -> None:
        """Write the grid and bring it to the head, as a user does."""
        file = self.laptop.home / "grid.yaml"
        file.write_text(yaml.safe_dump({**GRID, "storage": str(self.shared), **changes}))
        done = self.laptop.ray(
            "rsync-up", str(self.laptop.file), str(file), "~/norm-sweep/grid.yaml"
        )
        assert done.returncode == 0, done.stdout + done.stderr

    def run(self) -> list[str]:
        """The command that runs the grid on the cluster."""
        command = self.laptop.sweep("run", "grid.yaml", "--address", "auto")
        command[-1] = command[-1].replace(
            ".venv/bin", f"MLFLOW_TRACKING_URI={self.tracking.uri} .venv/bin"
        )
        return command

    def records(self, sweep: str = "small") -> dict[str, dict[str, Any]]:
        """The records, by the trials' ids."""
        files = (self.shared / sweep / "trials").glob("*/record.json")
        return {file.parent.name: json.loads(file.read_text()) for file in files}

    def up(self) -> None:
        """`ray up`, and wait for the workers."""
        done = self.laptop.ray("up", "-y", "--no-config-cache", str(self.laptop.file))
        assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
        until(lambda: self.num_nodes() == 3)

    def num_nodes(self) -> int:
        """How many nodes the head knows to be alive."""
        code = "import ray; ray.init('auto', log_to_driver=False, logging_level='ERROR'); "
        code += "print('alive:', sum(n['Alive'] for n in ray.nodes()))"
        command = f'cd ~/norm-sweep && .venv/bin/python -c "{code}"'
        said = self.laptop.ray("exec", str(self.laptop.file), command).stdout
        return int(said.rpartition("alive:")[2].split()[0]) if "alive:" in said else 0
