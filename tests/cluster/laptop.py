"""The laptop from which somebody drives a cluster: a home with a token, and Ray's commands."""

from __future__ import annotations

import os
import re
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from hosts import ROOT, Host
from mlflow_server import free_port
from waiting import until

BIN = Path(sys.executable).parent
PROJECT = "~/norm-sweep"


class Laptop:
    """Commands typed in the project's folder; `file` is the cluster file, filled in."""

    def __init__(self, folder: Path, there: list[Host], key: Path) -> None:
        self.home = folder
        self.token = os.urandom(32).hex()
        (folder / ".ray").mkdir(parents=True)
        (folder / ".ray/auth_token").write_text(self.token)
        self.file = folder / "cluster.yaml"
        self.file.write_text(filled_in(there, key))
        self.environment = {
            k: v for k, v in os.environ.items() if not k.startswith(("RAY_", "MLFLOW_"))
        } | {
            "HOME": str(folder),
            "PATH": f"{BIN}:{os.environ['PATH']}",
            "RAY_UP_enable_autoscaler_v2": "0",
            "RAY_AUTH_MODE": "token",
        }

    def ray(self, *arguments: str, **env: str) -> subprocess.CompletedProcess[str]:
        """One of Ray's commands, to its end."""
        return subprocess.run(
            ["ray", *arguments],
            cwd=ROOT,
            env={**self.environment, **env},
            capture_output=True,
            text=True,
            timeout=900,
        )

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        """One of Ray's commands, in the background."""
        return subprocess.Popen(
            ["ray", *arguments],
            cwd=ROOT,
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def sweep(self, *arguments: str) -> list[str]:
        """What `ray` is given to run one of the project's commands on the head."""
        command = f"cd {PROJECT} && .venv/bin/norm-sweep {' '.join(arguments)}"
        return ["exec", str(self.file), command]

    @contextmanager
    def tunnel(self) -> Iterator[str]:
        """`ray dashboard` in another shell; yields the address for `ray job`."""
        port = free_port()
        process = self.start("dashboard", "--port", str(port), str(self.file))
        try:
            until(lambda: _answers(port), process)
            yield f"http://localhost:{port}"
        finally:
            process.terminate()
            process.wait()


def _answers(port: int) -> bool:
    with socket.socket() as there:
        return there.connect_ex(("127.0.0.1", port)) == 0


def filled_in(there: list[Host], key: Path) -> str:
    """The shipped file with these hosts' addresses, user and key, as its comments ask for."""
    text = (ROOT / "clusters/on-premises.yaml").read_text()
    workers = ", ".join(host.address for host in there[1:])
    for pattern, value in {
        r"head_ip: \S+": f"head_ip: {there[0].address}",
        r"worker_ips: \[.*\]": f"worker_ips: [{workers}]",
        r"ssh_user: \S+": "ssh_user: root",
        r"ssh_private_key: \S+": f"ssh_private_key: {key}",
    }.items():
        text, count = re.subn(pattern, value, text)
        assert count == 1, pattern
    return text
