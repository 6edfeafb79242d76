"""A real MLflow server on loopback, started, killed, frozen and started again by a test."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

LONGEST_START_S = 180


def free_port() -> int:
    """A port of 127.0.0.1 that nobody listens on at present."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


class MlflowServer:
    """An MLflow server over the store at `store_uri` (default: an SQLite file in `folder`).

    It keeps its port, so that clients find it again after `kill` and `start`.
    """

    def __init__(self, folder: Path, store_uri: str | None = None, host: str = "127.0.0.1") -> None:
        self.folder = folder
        self.host = host
        self.store_uri = store_uri or f"sqlite:///{folder / 'server.db'}"
        self.port = free_port()
        self.uri = f"http://{host}:{self.port}"
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it and wait until it answers; a second call does nothing."""
        if self.process:
            return
        arguments = ["--host", self.host, "--port", str(self.port), "--workers", "1"]
        arguments += ["--allowed-hosts", f"{self.host}:*"]
        store = ["--backend-store-uri", self.store_uri]
        artifacts = ["--artifacts-destination", str(self.folder / "artifacts")]
        environment = {
            **os.environ,
            "MLFLOW_DISABLE_TELEMETRY": "true",
            "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
        }
        with open(self.folder / "server.log", "ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "mlflow", "server", *arguments, *store, *artifacts],
                cwd=self.folder,
                env=environment,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        self._wait()

    def _wait(self) -> None:
        deadline = time.monotonic() + LONGEST_START_S
        while time.monotonic() < deadline:
            try:
                with urllib.request.urlopen(f"{self.uri}/health", timeout=2):
                    return
            except OSError:
                time.sleep(0.2)
        log = (self.folder / "server.log").read_text()
        raise RuntimeError(f"the MLflow server does not come up:\n{log[-2000:]}")

    def freeze(self) -> None:
        """From now on it accepts connections and never answers."""
        if self.process:
            os.killpg(self.process.pid, signal.SIGSTOP)

    def thaw(self) -> None:
        """Let it go on."""
        if self.process:
            os.killpg(self.process.pid, signal.SIGCONT)

    def kill(self) -> None:
        """Kill it, frozen or not; a second call does nothing."""
        if self.process:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()
            self.process = None


@contextmanager
def mlflow_server(
    folder: Path, store_uri: str | None = None, host: str = "127.0.0.1"
) -> Iterator[MlflowServer]:
    """A running server, killed at the end."""
    server = MlflowServer(folder, store_uri, host)
    try:
        server.start()
        yield server
    finally:
        server.kill()
