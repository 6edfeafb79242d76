"""Sweeps on a Ray cluster of several nodes: what is refused, what is shipped, what is lost."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from own_model_and_data import OWN_MODEL_AND_DATA
from ray_cluster import RayCluster, ray_cluster
from user_folder import Folder, Start
from waiting import until

UNSHARE = ("unshare", "--mount") if os.geteuid() == 0 else ("unshare", "--mount", "-r")
CAN_UNSHARE = shutil.which("unshare") and not subprocess.run([*UNSHARE, "true"]).returncode
NO_NAMESPACES = "" if CAN_UNSHARE else "mount namespaces are not to be had here"

# The folder, moved to where only this process and what it starts can see it.
IN_ITS_OWN_VIEW = """
place=$1; shift
copy=$(mktemp -d) && cp -R "$place/." "$copy" && rm -rf "$place"/* &&
mount -t tmpfs none "$place" && cp -R "$copy/." "$place" && rm -rf "$copy" &&
cd "$place" && exec "$@"
"""
ROOT = Path(__file__).parents[2]
OWN_LAYER = """
import json
from pathlib import Path
from torch import nn
from parts.deep import num_groups

class Own(nn.GroupNorm):
    def __init__(self, num_channels):
        super().__init__(num_groups(), num_channels)
        place = Path(__file__).parent
        beside = sorted(str(file.relative_to(place)) for file in place.rglob("*"))
        Path("{seen}").write_text(json.dumps([str(place), beside]))
"""


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RayCluster]:
    with ray_cluster(tmp_path_factory.mktemp("cluster")) as cluster:
        cluster.add()
        cluster.add()
        yield cluster


def on(cluster: RayCluster) -> tuple[str, ...]:
    return "run", "grid.yaml", "--address", cluster.address


def in_its_own_view(folder: Folder, *command: str) -> subprocess.CompletedProcess[str]:
    """Run a command in the folder, whose files no other process can see from then on."""
    return subprocess.run(
        [*UNSHARE, "sh", "-c", IN_ITS_OWN_VIEW, "sh", str(folder.path), *command],
        env=folder.environment(),
        capture_output=True,
        text=True,
        timeout=240,
    )


@pytest.mark.skipif(bool(NO_NAMESPACES), reason=NO_NAMESPACES)
def test_a_local_folder_is_refused_before_anything_is_scheduled(
    folder: Folder, cluster: RayCluster
) -> None:
    folder.grid()
    listed = "; code=$?; find runs -name '.marker*' -o -name trials; exit $code"
    command = f"{sys.executable} -m sweep {' '.join(on(cluster))}{listed}"
    done = in_its_own_view(folder, "sh", "-c", command)
    assert done.returncode == 2, done.stdout + done.stderr
    (line,) = done.stderr.splitlines()
    assert "is another place than the driver's; use one that every node reaches" in line
    assert "Traceback" not in done.stdout + done.stderr
    assert "runs/" not in done.stdout
    assert list(folder.path.iterdir()) == []
    for number in range(2):
        assert list(cluster.folder_of(number).iterdir()) == []


@pytest.mark.slow
@pytest.mark.skipif(bool(NO_NAMESPACES), reason=NO_NAMESPACES)
def test_a_users_own_modules_reach_every_node_and_nothing_else_does(
    folder: Folder, cluster: RayCluster, tmp_path_factory: pytest.TempPathFactory
) -> None:
    shared = tmp_path_factory.mktemp("shared")
    seen = shared / "seen.json"
    (folder.path / "own_layers.py").write_text(OWN_LAYER.replace("{seen}", str(seen)))
    (folder.path / "own_task.py").write_text(OWN_MODEL_AND_DATA)
    for name in ("__init__.py", "deep.py", ".env", "weights.bin", "runs/old.py", ".git/config"):
        file = folder.path / "parts" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text("def num_groups(): return 2\n")
    (folder.path / "unrelated.py").write_text("")
    factors = {"norm": ["own_layers:Own"], "batch_size": [16], "seed": 2}
    folder.grid(
        factors=factors,
        reference=None,
        storage=str(shared / "runs"),
        model={"name": "own_task:net", "options": {"width": 6}},
        data={"name": "own_task:noise"},
    )
    done = in_its_own_view(folder, sys.executable, "-m", "sweep", *on(cluster))
    assert done.returncode == 0, done.stdout + done.stderr
    assert "2 completed" in done.stdout
    place, beside = json.loads(seen.read_text())
    assert not Path(place).is_relative_to(folder.path)
    assert [name for name in beside if "__pycache__" not in name] == ["own_layers.py"]
    records = [json.loads(f.read_text()) for f in (shared / "runs").rglob("record.json")]
    assert {r["num_classes"] for r in records} == {3}
    assert all(r["attempts"][0]["data"] and "+" in r["attempts"][0]["source"] for r in records)
    (shipped,) = Path(place).parent.glob("*/parts")
    files = {file.name for file in shipped.rglob("*") if file.suffix != ".pyc"}
    assert files - {"__pycache__"} == {"__init__.py", "deep.py"}


@pytest.mark.slow
def test_a_killed_driver_leaves_what_the_next_one_goes_on_with(
    folder: Folder, cluster: RayCluster, start: Start
) -> None:
    grid = {
        "factors": {"norm": ["groupnorm"], "batch_size": [16], "seed": 2},
        "data": {"name": "digits", "num_train": 512, "num_test": 64},
        "train": {"epochs": 30, "optimizer": {"lr": 0.02}},
    }
    folder.grid(**grid, reference=None)
    driver = start(*on(cluster))
    until(lambda: any(len(r["epochs"]) > 1 for r in folder.records().values()), driver)
    os.killpg(driver.pid, signal.SIGKILL)
    driver.wait()
    done = folder.sweep(*on(cluster))
    assert done.returncode == 0, done.stdout + done.stderr
    undisturbed = undisturbed_digests(folder, grid)
    for trial_id, record in folder.records().items():
        assert record["outcome"] == "completed"
        assert record["weights_digest"] == undisturbed[trial_id]
    assert any(r["attempts"][-1]["from_epoch"] > 0 for r in folder.records().values())


@pytest.mark.slow
def test_the_trials_of_a_lost_node_go_on_elsewhere(
    folder: Folder, cluster: RayCluster, start: Start
) -> None:
    lost = cluster.add(num_cpus=1)
    grid = {
        "factors": {"norm": ["batchnorm"], "batch_size": [16], "seed": 3},
        "data": {"name": "digits", "num_train": 512, "num_test": 64},
        "train": {"epochs": 30, "optimizer": {"lr": 0.02}},
    }
    folder.grid(**grid, reference=None)
    driver = start(*on(cluster))
    until(lambda: sum(bool(r["epochs"]) for r in folder.records().values()) == 3, driver)
    cluster.kill(lost)
    output, _ = driver.communicate(timeout=400)
    assert driver.returncode == 0, output
    records = folder.records()
    undisturbed = undisturbed_digests(folder, grid)
    assert {r["weights_digest"] for r in records.values()} == set(undisturbed.values())
    moved = [r for r in records.values() if len(r["attempts"]) == 2]
    assert len(moved) == 1, output
    assert moved[0]["attempts"][1]["from_epoch"] + moved[0]["attempts"][1]["from_step"] > 0


def undisturbed_digests(folder: Folder, grid: dict[str, Any]) -> dict[str, str]:
    """The weights' digests of the same trials, trained on this machine without a cluster."""
    folder.grid("undisturbed.yaml", **grid, storage="undisturbed", reference=None)
    done = folder.sweep("run", "undisturbed.yaml")
    assert done.returncode == 0, done.stdout + done.stderr
    files = (folder.path / "undisturbed/small/trials").glob("*/record.json")
    return {file.parent.name: json.loads(file.read_text())["weights_digest"] for file in files}


OTHER_RAY = "import ray; ray.__version__ = '2.0.0'"


@pytest.fixture
def other_ray(tmp_path: Path) -> dict[str, str]:
    """An environment in which Ray takes itself for another version."""
    place = tmp_path / "other-ray"
    place.mkdir()
    (place / "sitecustomize.py").write_text(OTHER_RAY)
    return {"PYTHONPATH": str(place)}


def test_a_driver_with_another_ray_is_refused_in_one_line(
    folder: Folder, cluster: RayCluster, other_ray: dict[str, str]
) -> None:
    folder.grid()
    done = folder.sweep(*on(cluster), **other_ray)
    assert done.returncode == 2, done.stdout + done.stderr
    (line,) = done.stderr.splitlines()
    assert "Version mismatch: The cluster was started with: Ray: " in line
    assert "it has to run there with Ray 2.0.0 and Python " in line
    assert folder.records() == {}


def test_a_node_with_another_ray_does_not_join(
    folder: Folder, cluster: RayCluster, other_ray: dict[str, str]
) -> None:
    ray = Path(sys.executable).parent / "ray"
    done = subprocess.run(
        [sys.executable, ray, "start", "--address", cluster.address, "--disable-usage-stats"],
        env=folder.environment(**other_ray),
        capture_output=True,
        text=True,
        timeout=240,
    )
    assert done.returncode != 0
    assert "Version mismatch: The cluster was started with:" in done.stderr
    assert "Ray: 2.0.0" in done.stderr


@pytest.mark.parametrize(
    "strange",
    [
        "code",
        pytest.param("torch", marks=pytest.mark.slow),
        pytest.param("nothing", marks=pytest.mark.slow),
    ],
)
def test_a_node_with_other_software_is_refused_in_one_line(
    folder: Folder, cluster: RayCluster, tmp_path: Path, strange: str
) -> None:
    path = tmp_path / "strange"
    path.mkdir()
    expected = {
        "code": "norm-sweep's code is ",
        "torch": "torch is 1.0, but the driver has ",
        "nothing": "norm-sweep is not installed",
    }[strange]
    if strange == "code":
        for package in ("sweep", "normmods", "trainables"):
            shutil.copytree(ROOT / package, path / package)
        (path / "normmods/__init__.py").open("a").write("\n# another version\n")
    elif strange == "torch":
        (path / "torch-1.0.dist-info").mkdir()
        (path / "torch-1.0.dist-info/METADATA").write_text("Name: torch\nVersion: 1.0\n")
    else:
        (path / "sweep.py").write_text("raise ImportError('this is another sweep')\n")
    number = cluster.add(num_cpus=1, PYTHONPATH=str(path))
    folder.grid()
    try:
        done = folder.sweep(*on(cluster))
    finally:
        cluster.kill(number)
    assert done.returncode == 2, done.stdout + done.stderr
    (line,) = done.stderr.splitlines()
    assert expected in line
    assert "same on every node" in line or "on every node what the driver has" in line
    assert folder.records() == {}
