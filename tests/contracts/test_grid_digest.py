"""The sweep and the analysis agree on what a grid file says, though neither imports the other."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from analysis.sources.grid_file import read_grid
from sweep.grid import yaml_source as source
from sweep.grid.model import load_grid
from sweep.planning.trial_states import read_trial_states, save_expected
from sweep.tracking.tags import MAX_TAG_LENGTH, experiment_tags

GRIDS = sorted((Path(__file__).parents[2] / "grids").rglob("*.yaml"))
GRID = """\
name: small
factors: {norm: [batchnorm, groupnorm], batch_size: [16, 8], seed: 2}
data: &data {name: digits, num_train: 64}
model: {name: resnet8, width: 4}
train: {epochs: 3, optimizer: {lr: 5e-2}}
"""


@pytest.mark.parametrize("path", GRIDS, ids=[path.name for path in GRIDS])
def test_both_compute_one_digest_of_a_grid(path: Path) -> None:
    assert source.read_yaml(path).digest == read_grid(path)[1].digest != ""


@pytest.mark.parametrize(
    "text",
    [
        GRID,
        GRID.replace("\n", "\r\n"),
        "\ufeff" + GRID,
        GRID + "resources: {cpu: 2}\n",
        "base: &b {lr: 0.1, nesterov: on}\nname: é\nfactors: {}\ntrain: {optimizer: {<<: *b}}\n",
    ],
)
def test_both_compute_one_digest_of_any_text(tmp_path: Path, text: str) -> None:
    path = tmp_path / "grid.yaml"
    path.write_bytes(text.encode())
    assert source.read_yaml(path).digest == read_grid(path)[1].digest


def test_what_a_sweep_writes_is_what_the_analysis_compares(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    path = Path("grid.yaml")
    path.write_text(GRID)
    grid = load_grid(path, ["train.epochs=2", f"reference={'batchnorm'}"])
    save_expected(read_trial_states(grid))
    written = json.loads(Path("runs/small/sweep.json").read_text())["grid"]
    assert written == {
        "digest": read_grid(path)[1].digest,
        "changes": "--set train.epochs=2 --set reference=batchnorm",
    }
    assert json.loads(experiment_tags(grid)["sweep.grid.small"]) == written


def test_many_changes_fit_into_a_tag(tmp_path: Path) -> None:
    path = tmp_path / "grid.yaml"
    path.write_text(GRID)
    grid = load_grid(path, ['train.epochs="2"'] * 2000 + ["train.epochs=2"])
    assert len(experiment_tags(grid)["sweep.grid.small"]) <= MAX_TAG_LENGTH
