"""A sweep whose records lie in S3: trained, interrupted, resumed, read from there."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Iterator
from typing import Any

import pytest
from s3_server import ENVIRONMENT, S3Server, s3_server
from user_folder import Folder, Start
from waiting import until


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Server]:
    with s3_server(tmp_path_factory.mktemp("s3")) as server:
        yield server


def records(server: S3Server, folder: str) -> dict[str, dict[str, Any]]:
    files = [key for key in server.objects() if key.startswith(f"{folder}/") and "record" in key]
    return {key.split("/")[-2]: json.loads(server.read(key)) for key in files}


@pytest.mark.slow
def test_a_sweep_in_s3_is_interrupted_resumed_and_read(
    folder: Folder, start: Start, server: S3Server
) -> None:
    grid: dict[str, Any] = {
        "factors": {"norm": ["batchnorm", "groupnorm"], "batch_size": [16], "seed": 1},
        "data": {"name": "digits", "num_train": 512, "num_test": 64},
        "train": {"epochs": 12, "optimizer": {"lr": 0.02}},
    }
    folder.grid(**grid, storage=server.uri("my runs"))
    running = start("run", "grid.yaml", **ENVIRONMENT)
    until(lambda: any(r["epochs"] for r in records(server, "my runs").values()), running)

    status = folder.sweep("status", "grid.yaml", **ENVIRONMENT)
    assert f"process {running.pid}" in status.stdout, status.stdout + status.stderr
    second = folder.sweep("run", "grid.yaml", **ENVIRONMENT)
    assert second.returncode == 2, "the lock in S3 keeps a second driver away"
    assert "already running" in second.stderr
    os.killpg(running.pid, signal.SIGKILL)
    running.wait()

    done = folder.sweep("run", "grid.yaml", **ENVIRONMENT)
    assert done.returncode == 0, done.stdout + done.stderr
    folder.grid("local.yaml", **grid, storage="runs")
    assert folder.sweep("run", "local.yaml").returncode == 0
    in_s3, local = records(server, "my runs"), folder.records()
    assert in_s3.keys() == local.keys()
    for trial_id, record in in_s3.items():
        assert record["outcome"] == "completed"
        assert record["weights_digest"] == local[trial_id]["weights_digest"]
    assert any(len(record["attempts"]) > 1 for record in in_s3.values())
    kept = [key for key in server.objects() if key.startswith("my runs/small/")]
    assert not [key for key in kept if ".probe" in key or ".tmp" in key or "driver.lock" in key]
    again = folder.sweep("run", "grid.yaml", **ENVIRONMENT)
    assert again.returncode == 0
    assert "trained now: 0" in again.stdout or "nothing" in again.stdout, again.stdout

    report = folder.python(
        "analysis", "report", server.uri("my runs/small"), "--out", "report", **ENVIRONMENT
    )
    assert report.returncode == 0, report.stdout + report.stderr
    assert (folder.path / "report/report.html").exists()
    everything = b"".join(server.read(key) for key in kept) + done.stdout.encode()
    assert ENVIRONMENT["AWS_SECRET_ACCESS_KEY"].encode() not in everything


def test_what_is_wrong_with_a_place_in_s3_is_one_line(folder: Folder, server: S3Server) -> None:
    places = {
        f"s3://no-such-bucket/runs?{server.options}": "no-such-bucket",
        server.uri("runs").replace("scheme=", "sheme="): "sheme",
        server.uri("runs").replace("s3://", "s3://key:pass-word@"): "holds credentials",
    }
    for place, expected in places.items():
        folder.grid(storage=place)
        done = folder.sweep("run", "grid.yaml", **ENVIRONMENT)
        assert done.returncode == 2, done.stdout + done.stderr
        (line,) = done.stderr.splitlines()
        assert expected in line
        assert "pass-word" not in line
