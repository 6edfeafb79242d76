"""Cells that a grid excludes are known with the reason."""

from __future__ import annotations

import json
from pathlib import Path

from sweep.grid.model import load_grid
from sweep.planning.trial_states import read_trial_states, save_expected
from sweep.tracking.tags import experiment_tags

GRID = """
name: left-out
factors: {norm: [batchnorm, {name: groupnorm, num_groups: 8}], batch_size: [8, 4, 1], seed: 2}
data: {name: digits, num_train: 64}
model: {name: resnet8}
train: {epochs: 1, optimizer: {lr: 0.1}}
exclude:
  - {norm: batchnorm, batch_size: 1}
  - {batch_size: 8, seed: 1}
"""


def test_a_cell_without_a_trial_is_left_out_and_the_folder_and_mlflow_say_so(
    tmp_path: Path,
) -> None:
    path = tmp_path / "grid.yaml"
    path.write_text(f"storage: {tmp_path}/runs\n{GRID}")
    grid = load_grid(path)
    (item,) = grid.left_out  # at batch size 8 a seed is left
    assert (item.norm, item.batch_sizes, item.why) == ("batchnorm", (1,), "excluded by the grid")
    save_expected(read_trial_states(grid))
    written = json.loads((tmp_path / "runs" / "left-out" / "sweep.json").read_text())
    expected = [
        {"norm": "batchnorm", "variant": "", "batch_sizes": [1], "why": "excluded by the grid"}
    ]
    assert written["left_out"] == expected
    assert json.loads(experiment_tags(grid)["sweep.left_out.left-out"]) == expected
