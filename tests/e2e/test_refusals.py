"""What is wrong is said at once, in one line each, with exit code 2, and nothing is started."""

from __future__ import annotations

import os
import re
import stat
from pathlib import Path
from typing import Any

import pytest
import yaml
from user_folder import SMALL, Folder


def refused(folder: Folder, *arguments: str) -> str:
    before = sorted(path.name for path in folder.path.iterdir())
    done = folder.sweep(*arguments)
    assert done.returncode == 2, done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    assert re.fullmatch(r"(checking \d+ cells?\n)?(warning: .*\n)*", done.stdout)
    after = sorted(path.name for path in folder.path.iterdir() if path.name != "__pycache__")
    assert after == before
    return done.stderr


FACTORS: dict[str, Any] = SMALL["factors"]


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"trian": 1}, ["trian: unknown key; did you mean 'train'?"]),
        ({"train": {"epochs": "two"}}, ["train.epochs: expected a whole number, found 'two'"]),
        (
            {"factors": {**FACTORS, "norm": ["bachnorm"], "batch_size": [0]}},
            ["batch_size[0]: expected a whole number >= 1, found 0", "did you mean 'batchnorm'?"],
        ),
        ({"factors": {**FACTORS, "batch_size": []}}, ["expected at least one level"]),
        ({"factors": {**FACTORS, "batch_size": [8, 16, 8]}}, ["batch_size[2]: listed twice: 8"]),
        (
            {"overrides": [{"when": {"batch_size": 7}, "set": {"train.epochs": 1}}]},
            ["overrides[0].when.batch_size: no level of batch_size is 7"],
        ),
        ({"factors": {**FACTORS, "norm": ["nowhere:Layer"]}}, ["there is no module 'nowhere'"]),
        ({"factors": {**FACTORS, "norm": ["raising:Layer"]}}, ["raised ZeroDivisionError"]),
        ({"factors": {**FACTORS, "norm": ["raising:"]}}, ["there is no norm 'raising:'"]),
    ],
)
def test_a_wrong_grid(folder: Folder, changes: dict[str, Any], expected: list[str]) -> None:
    (folder.path / "raising.py").write_text("1 / 0\n")
    file = folder.grid(**changes)
    message = refused(folder, "run", "grid.yaml")
    assert len(message.splitlines()) == len(expected)
    for line, part in zip(message.splitlines(), expected, strict=True):
        assert part in line
        number = int(line.split(":")[1])
        assert 1 <= number <= len(file.read_text().splitlines())


def test_files_that_are_no_grids(folder: Folder) -> None:
    (folder.path / "broken.yaml").write_text("name: x\nfactors: [1, 2\n")
    assert "broken.yaml:3: not valid YAML" in refused(folder, "run", "broken.yaml")
    assert "absent.yaml: no such file" in refused(folder, "run", "absent.yaml")
    (folder.path / "list.yaml").write_text("- 1\n")
    assert "expected a mapping, found a list of 1" in refused(folder, "plan", "list.yaml")
    (folder.path / "folder.yaml").mkdir()
    assert "found a folder" in refused(folder, "status", "folder.yaml")


def test_a_cell_that_cannot_run_is_named_before_anything_starts(folder: Folder) -> None:
    model = {"name": "resnet18", "stem": "imagenet"}
    factors = {"norm": ["batchnorm", "groupnorm"], "batch_size": [2, 1], "seed": 1}
    folder.grid(model=model, factors=factors)
    message = refused(folder, "run", "grid.yaml")
    assert "batchnorm at batch size 1: " in message
    assert "layer" in message
    assert "exclude these cells, or set `infeasible: skip`" in message
    folder.grid(model=model, factors=factors, infeasible="skip")
    plan = folder.sweep("plan", "grid.yaml")
    assert plan.returncode == 0
    assert "skipped: batchnorm at batch size 1" in plan.stdout


def test_a_storage_that_cannot_be_written(folder: Folder) -> None:
    (folder.path / "occupied").write_text("a file, not a folder")
    folder.grid(storage="occupied")
    assert "cannot be written" in refused(folder, "run", "grid.yaml")
    if os.geteuid() != 0:  # root writes anywhere
        closed = folder.path / "closed"
        closed.mkdir()
        closed.chmod(stat.S_IRUSR | stat.S_IXUSR)
        folder.grid(storage="closed/runs")
        assert "cannot be written" in refused(folder, "run", "grid.yaml")


def test_a_data_set_that_is_not_here(folder: Folder) -> None:
    folder.grid(data={"name": "cifar10", "root": str(folder.path / "nothing-here")})
    plan = folder.sweep("plan", "grid.yaml")
    assert plan.returncode == 0, plan.stderr
    proxy = "http://127.0.0.1:9"  # nobody listens there, so that no download begins
    done = folder.sweep("run", "grid.yaml", http_proxy=proxy, https_proxy=proxy)
    assert done.returncode == 2
    assert len(done.stderr.splitlines()) == 1
    assert "cifar10" in done.stderr
    assert folder.records() == {}


def test_more_than_the_machine_has(folder: Folder) -> None:
    folder.grid(resources={"cpu": 4096})
    done = folder.sweep("run", "grid.yaml")
    assert done.returncode == 2
    assert "a trial wants 4096 CPU" in done.stderr


def test_init_writes_a_grid_that_holds_and_never_overwrites(folder: Folder) -> None:
    assert folder.sweep("init").returncode == 0
    written = (folder.path / "grid.yaml").read_text()
    plan = folder.sweep("plan", "grid.yaml")
    assert plan.returncode == 0, plan.stderr
    assert "27 trials, 27 to train" in plan.stdout
    assert "is there already" in refused(folder, "init")
    assert (folder.path / "grid.yaml").read_text() == written


def test_the_shipped_grids_hold(folder: Folder) -> None:
    grids = Path(__file__).parents[2] / "grids"
    for grid in sorted(grids.glob("*.yaml")):
        assert yaml.safe_load(grid.read_text())["name"] == grid.stem
    for name in ("nightly-fashion-mnist", "renorm-figure5"):  # the others take a minute each
        plan = folder.sweep("plan", str(grids / f"{name}.yaml"))
        assert plan.returncode == 0, plan.stderr


def test_help_and_a_wrong_grid_load_neither_torch_nor_ray(folder: Folder) -> None:
    folder.grid(trian=1)
    for arguments in (["--help"], ["plan", "grid.yaml"]):
        done = folder.python("sweep", *arguments, PYTHONPROFILEIMPORTTIME="1")
        loaded = {line.split("|")[-1].strip() for line in done.stderr.splitlines()}
        assert not loaded & {"torch", "ray", "mlflow", "pandas", "numpy"}, arguments


@pytest.mark.parametrize("command", ["plan", "status", "run"])
def test_an_object_store_that_nobody_serves(folder: Folder, command: str) -> None:
    folder.grid(storage="s3://nobody/runs")
    env = {
        "AWS_ENDPOINT_URL": "http://127.0.0.1:9",
        "AWS_ACCESS_KEY_ID": "id",
        "AWS_SECRET_ACCESS_KEY": "key",
    }
    done = folder.sweep(command, "grid.yaml", **env)
    assert done.returncode == 2, done.stdout + done.stderr
    (line,) = done.stderr.splitlines()
    assert "nobody" in line
