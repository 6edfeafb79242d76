"""What docs/cluster.md tells to type, typed: jobs that outlive the laptop, and own modules."""

from __future__ import annotations

import re
import stat
import subprocess

import hosts
import postgresql_server
import psutil
import pytest
from cluster_site import Site
from mlflow.tracking import MlflowClient
from own_model_and_data import OWN_MODEL_AND_DATA
from waiting import until

REASON = hosts.why_not() or postgresql_server.why_not()
pytestmark = [pytest.mark.cluster, pytest.mark.skipif(bool(REASON), reason=REASON or "")]

OWN = f"""{OWN_MODEL_AND_DATA}

class Norm(nn.GroupNorm):
    def __init__(self, num_channels):
        super().__init__(2, num_channels)
"""


def test_a_stopped_job_is_gone_on_with_by_the_next(site: Site) -> None:
    site.put_grid(name="job")
    *_, command = site.run()
    entry = ["--", "bash", "-c", command]
    with site.laptop.tunnel() as address:
        at = ["--address", address]
        named = ["--submission-id", "first", "--no-wait"]
        done = site.laptop.ray("job", "submit", *at, *named, *entry)
        assert done.returncode == 0, done.stdout + done.stderr
        until(lambda: sum(len(r["epochs"]) > 1 for r in site.records("job").values()) == 2)
        stopped = site.laptop.ray("job", "stop", *at, "first")
        assert stopped.returncode == 0, stopped.stdout + stopped.stderr
        logs = site.laptop.ray("job", "logs", *at, "first")
        assert "training 2 trials, 2 at a time" in logs.stdout + logs.stderr
        assert "first" in site.laptop.ray("job", "list", *at).stdout
        left = site.records("job")
        assert {r["outcome"] for r in left.values()} == {None}
        assert {r["attempts"][-1]["stopped_for"] for r in left.values()} == {"interrupted"}

        done = site.laptop.ray("job", "submit", *at, *entry)
        assert done.returncode == 0, done.stdout + done.stderr
        assert "2 trials: 2 completed" in done.stdout + done.stderr
    for trial_id, record in site.records("job").items():
        assert [attempt["from_epoch"] > 0 for attempt in record["attempts"]] == [False, True]
        shared = left[trial_id]["epochs"]
        assert record["epochs"][: len(shared)] == shared


def test_ones_own_layer_model_and_data_reach_the_workers(site: Site) -> None:
    file = site.laptop.home / "my_task.py"
    file.write_text(OWN)
    done = site.laptop.ray("rsync-up", str(site.laptop.file), str(file), "~/norm-sweep/my_task.py")
    assert done.returncode == 0, done.stdout + done.stderr
    site.put_grid(
        name="own",
        factors={"norm": ["my_task:Norm"], "batch_size": [16], "seed": 4},
        model={"name": "my_task:net", "options": {"width": 6}},
        data={"name": "my_task:noise"},
        train={"epochs": 2},
    )
    done = site.laptop.ray(*site.run())
    assert done.returncode == 0, done.stdout + done.stderr
    assert "4 trials: 4 completed" in done.stdout
    records = site.records("own").values()
    assert {attempt["host"] for r in records for attempt in r["attempts"]} <= {"host2", "host3"}
    assert {r["num_classes"] for r in records} == {3}
    for host in site.hosts[1:]:
        assert not list((host.home / "norm-sweep").glob("my_task.py")), "Ray took it there"


def test_a_shell_on_the_head(site: Site) -> None:
    """`ray attach` wants a terminal, which `script` is."""
    typed = f"script -qec 'ray attach {site.laptop.file}' /dev/null"
    attached = subprocess.run(
        ["sh", "-c", typed],
        input="cd norm-sweep && hostname && echo attached-$((40 + 2)); exit\n",
        env=site.laptop.environment,
        capture_output=True,
        text=True,
        timeout=300,
    )
    said = re.split(r"[\r\n]+", attached.stdout)
    assert "attached-42" in said, attached.stdout
    assert "host1" in said


def test_the_token_is_in_no_log_record_tag_or_process_list(site: Site) -> None:
    """After the sweeps above: only the files that hold it have it."""
    token = site.laptop.token
    command_lines = [
        " ".join(process.info["cmdline"] or ()) for process in psutil.process_iter(["cmdline"])
    ]
    assert any("raylet" in line for line in command_lines)
    assert not any(token in line for line in command_lines)
    written = [site.shared, site.tracking.folder, *(host.folder / "ray" for host in site.hosts)]
    files = [file for place in written for file in place.rglob("*") if file.is_file()]
    assert {"record.json", "server.log", "raylet.out"} <= {file.name for file in files}
    assert [file for file in files if token.encode() in file.read_bytes()] == []
    client = MlflowClient(site.tracking.uri)
    experiments = client.search_experiments()
    runs = client.search_runs([experiment.experiment_id for experiment in experiments])
    assert runs
    assert token not in str([experiment.tags for experiment in experiments])
    assert token not in str([(run.data.tags, run.data.params) for run in runs])
    for host in site.hosts:
        assert (host.home / ".ray/auth_token").read_text().strip() == token
        assert stat.S_IMODE((host.home / ".ray/auth_token").stat().st_mode) == 0o600
