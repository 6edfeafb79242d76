"""What cannot be Ray's temporary folder is refused; what a sweep leaves in it is little."""

from __future__ import annotations

from pathlib import Path

import pytest
from user_folder import Folder

LOUD = """
import os
from pathlib import Path
from torch import nn

class Loud(nn.GroupNorm):
    most = 0
    def __init__(self, num_channels):
        super().__init__(2, num_channels)
    def forward(self, x):
        if x.requires_grad:
            print("x" * 999_999)
            logs = Path(os.environ["RAY_TMPDIR"]).glob("ray/session_2*/logs/worker*")
            Loud.most = max(Loud.most, sum(file.stat().st_size for file in logs))
            Path({place!r}).write_text(str(Loud.most))
        return super().forward(x)
"""


def test_a_folder_with_too_long_a_path_is_refused_with_the_remedy(folder: Folder) -> None:
    folder.grid()
    long = folder.path / ("x" * 100)
    done = folder.sweep("run", "grid.yaml", TMPDIR=str(long))
    assert done.returncode == 2, done.stdout + done.stderr
    (line,) = done.stderr.splitlines()
    assert f"Ray's temporary folder {long}/ray has too long a path" in line
    assert "RAY_TMPDIR=" in line
    assert folder.records() == {}


@pytest.mark.slow
def test_what_a_layer_prints_is_bounded_and_the_session_is_removed(
    folder: Folder, tmp_path_factory: pytest.TempPathFactory
) -> None:
    place = folder.path / "most"
    (folder.path / "layers.py").write_text(LOUD.format(place=str(place)))
    folder.grid(
        factors={"norm": ["layers:Loud"], "batch_size": [4], "seed": 1},
        train={"epochs": 1, "optimizer": {"lr": 0.02}},
        reference=None,
    )
    short = Path("/tmp") / tmp_path_factory.mktemp("r").parent.name / "r"
    short.mkdir(parents=True, exist_ok=True)
    done = folder.sweep("run", "grid.yaml", RAY_TMPDIR=str(short))
    assert done.returncode == 0, done.stdout + done.stderr
    # 16 steps through seven layers or more print over 100 MB; two files of 10 MB are kept.
    assert 5_000_000 < int(place.read_text()) < 25_000_000
    assert list(short.glob("ray/session_2*")) == []
