"""From `ray up` to the records on three hosts, with a worker and then the head lost on the way."""

from __future__ import annotations

import json
import subprocess
import sys

import hosts
import postgresql_server
import pytest
import yaml
from cluster_site import GRID, Site
from waiting import until

REASON = hosts.why_not() or postgresql_server.why_not()
pytestmark = [pytest.mark.cluster, pytest.mark.skipif(bool(REASON), reason=REASON or "")]


def test_nothing_answers_without_the_token(site: Site) -> None:
    ask = (
        "import urllib.request as u, urllib.error as e\n"
        "try: print(u.urlopen('http://127.0.0.1:8265/api/jobs/').status)\n"
        "except e.HTTPError as error: print(error.code)\n"
    )
    command = f'~/norm-sweep/.venv/bin/python -c "{ask}"'
    said = site.laptop.ray("exec", str(site.laptop.file), command)
    assert "401" in said.stdout, said.stdout + said.stderr
    submit = (
        "mkdir -p /tmp/stranger; HOME=/tmp/stranger RAY_AUTH_MODE=disabled "
        "~/norm-sweep/.venv/bin/ray job submit --address http://127.0.0.1:8265 -- echo let-me-in"
    )
    said = site.laptop.ray("exec", str(site.laptop.file), submit)
    assert said.returncode != 0
    assert "let-me-in\n" not in said.stdout
    join = (
        "import ray, sys; "
        f"ray.init('{site.hosts[0].address}:6379', log_to_driver=False); print('joined')"
    )
    stranger = subprocess.run(
        [sys.executable, "-c", join],
        env={**site.laptop.environment, "HOME": "/nonexistent", "RAY_AUTH_MODE": "disabled"},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert stranger.returncode != 0
    assert "joined" not in stranger.stdout
    listening = site.laptop.ray("exec", str(site.laptop.file), "ss -Hltn sport = :8265").stdout
    assert "127.0.0.1:8265" in listening
    assert "0.0.0.0:8265" not in listening


def test_a_local_folder_is_refused_before_anything_is_scheduled(site: Site) -> None:
    site.put_grid(storage="runs")
    done = site.laptop.ray(*site.run())
    said = done.stdout + done.stderr
    assert done.returncode != 0
    assert "is another place than the driver's" in said
    assert "host2" in said
    assert "host3" in said
    assert "Traceback" not in said
    for host in site.hosts[1:]:
        assert not (host.home / "norm-sweep/runs").exists()


def test_a_sweep_outlives_a_worker_and_then_the_head(site: Site) -> None:
    head, first, second = site.hosts
    site.put_grid()
    driver = site.laptop.start(*site.run())
    until(lambda: sum(len(r["epochs"]) > 2 for r in site.records().values()) == 2, driver)
    training = {r["attempts"][-1]["host"] for r in site.records().values()}
    assert training == {first.name, second.name}, "trials run on both workers"

    second.kill()
    # The other host has room when it has finished its own trial.
    until(lambda: any(len(r["attempts"]) > 1 for r in site.records().values()), driver, 600)
    moved = next(r for r in site.records().values() if len(r["attempts"]) > 1)
    assert [attempt["host"] for attempt in moved["attempts"]] == [second.name, first.name]
    assert moved["attempts"][1]["from_epoch"] > 0, "it goes on from its checkpoint"

    head.kill()
    driver.wait(timeout=300)
    before = site.records()
    head.start()
    second.start()
    site.up()
    status = site.laptop.ray(*site.laptop.sweep("status", "grid.yaml"))
    assert "1 completed" in status.stdout, status.stdout + status.stderr
    done = site.laptop.ray(*site.run())
    assert done.returncode == 0, done.stdout + done.stderr
    assert "2 trials: 2 completed" in done.stdout

    after = site.records()
    for trial_id, record in before.items():
        shared = len(record["epochs"]) if record["outcome"] else 1
        assert after[trial_id]["epochs"][:shared] == record["epochs"][:shared]
    assert {r["weights_digest"] for r in after.values()} == undisturbed(site)
    assert in_mlflow(site.tracking.uri) == {
        trial_id: ("FINISHED", record["epochs"][-1]["test_error"])
        for trial_id, record in after.items()
    }
    down = site.laptop.ray("down", "-y", str(site.laptop.file))
    assert down.returncode == 0, down.stdout + down.stderr


def undisturbed(site: Site) -> set[str]:
    """The weights' digests of the same trials on this machine, without a cluster."""
    folder = site.laptop.home / "undisturbed"
    folder.mkdir()
    (folder / "grid.yaml").write_text(yaml.safe_dump(GRID))
    done = subprocess.run(
        [sys.executable, "-m", "sweep", "run", "grid.yaml"],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=900,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    files = (folder / "runs/small/trials").glob("*/record.json")
    return {json.loads(file.read_text())["weights_digest"] for file in files}


def in_mlflow(uri: str) -> dict[str, tuple[str, float]]:
    """What MLflow shows: the trials' status and last test error, by their ids."""
    from mlflow.tracking import MlflowClient

    client = MlflowClient(uri)
    experiment = client.get_experiment_by_name("small")
    runs = client.search_runs([experiment.experiment_id])
    return {
        run.data.tags["sweep.trial_id"]: (run.info.status, run.data.metrics["test_error"])
        for run in runs
    }
