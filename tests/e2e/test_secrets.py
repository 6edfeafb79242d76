"""A password in the tracking URI reaches the server, and nothing that anybody else reads."""

from __future__ import annotations

import base64
import os
import tempfile
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import psutil
import pytest
from marked_processes import marked
from mlflow_server import MlflowServer, mlflow_server
from user_folder import Folder, Start

PASSWORD = "correct-horse-battery"


@pytest.fixture
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MlflowServer]:
    with mlflow_server(tmp_path_factory.mktemp("server")) as server:
        yield server


@pytest.fixture
def scratch() -> Iterator[Path]:
    """A folder for Ray's logs and sockets, whose paths have to be short."""
    with tempfile.TemporaryDirectory(prefix="s-", dir="/tmp") as folder:
        yield Path(folder)


def command_lines(mark: dict[str, str]) -> str:
    lines = []
    for process in marked(mark):
        try:
            lines.append(" ".join(process.cmdline()))
        except psutil.Error:
            continue
    return "\n".join(lines)


def written_below(*folders: Path) -> bytes:
    files = (file for folder in folders for file in folder.rglob("*") if file.is_file())
    return b"".join(file.read_bytes() for file in files)


@pytest.mark.slow
def test_the_password_is_in_no_log_record_tag_or_process_list(
    folder: Folder,
    start: Start,
    server: MlflowServer,
    mark: dict[str, str],
    scratch: Path,
) -> None:
    folder.grid()
    uri = server.uri.replace("http://", f"http://ann:{PASSWORD}@")
    running = start(
        "run", "grid.yaml", "--report", "report", MLFLOW_TRACKING_URI=uri, TMPDIR=str(scratch)
    )
    seen = ""
    while running.poll() is None:
        seen += command_lines(mark)
        threading.Event().wait(0.2)
    output, _ = running.communicate()
    assert running.returncode == 0, output
    assert server.uri in output
    assert "sweep" in seen
    everything = (
        seen.encode() + output.encode() + written_below(folder.path, server.folder, scratch)
    )
    assert PASSWORD.encode() not in everything


class Unwilling(BaseHTTPRequestHandler):
    """Refuses everybody, and notes who came."""

    came: list[str] = []  # noqa: RUF012

    def do_GET(self) -> None:
        self.came.append(self.headers.get("Authorization", ""))
        self.send_error(403)

    do_POST = do_GET  # noqa: N815

    def log_message(self, *arguments: object) -> None:
        pass


def test_a_refusal_of_the_server_is_told_without_the_password(folder: Folder) -> None:
    server = HTTPServer(("127.0.0.1", 0), Unwilling)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        folder.grid(factors={"norm": ["batchnorm"], "batch_size": [16], "seed": 1})
        uri = f"http://ann:{PASSWORD}@127.0.0.1:{server.server_port}"
        done = folder.sweep("run", "grid.yaml", MLFLOW_TRACKING_URI=uri)
        read = folder.python("analysis", "report", "small", MLFLOW_TRACKING_URI=uri)
    finally:
        server.shutdown()
        server.server_close()
    assert done.returncode == 4, done.stdout + done.stderr
    assert read.returncode == 2, read.stdout + read.stderr
    assert PASSWORD not in done.stdout + done.stderr + read.stdout + read.stderr
    expected = base64.b64encode(f"ann:{PASSWORD}".encode()).decode()
    assert Unwilling.came
    assert set(Unwilling.came) == {f"Basic {expected}"}
    assert PASSWORD.encode() not in written_below(folder.path)
    assert PASSWORD not in os.environ.get("MLFLOW_TRACKING_URI", "")
