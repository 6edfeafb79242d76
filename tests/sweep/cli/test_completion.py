"""What a shell is told when someone presses the tab key, by the installed command."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from small_grids import write

COMMAND = Path(sys.executable).with_name("norm-sweep")


def completed(words: str) -> list[str]:
    """As bash asks: the words typed so far, and which of them is to be completed."""
    asked = {
        "COMP_WORDS": words,
        "COMP_CWORD": str(len(words.split(" ")) - 1),
        "_NORM_SWEEP_COMPLETE": "complete_bash",
    }
    done = subprocess.run(
        [COMMAND], env={**os.environ, **asked}, capture_output=True, text=True, timeout=60
    )
    assert done.stderr == ""
    return done.stdout.split()


@pytest.mark.skipif(not COMMAND.exists(), reason="the package is not installed beside Python")
@pytest.mark.parametrize(
    ("words", "found"),
    [
        ("norm-sweep st", ["status"]),
        ("norm-sweep plan g", ["grid.yaml", "grids/"]),
        ("norm-sweep plan grid.yaml --scale s", ["small"]),
        ("norm-sweep run grid.yaml --retry o", ["out_of_memory"]),
        ("norm-sweep check-norm batchr", ["batchrenorm"]),
        ("norm-sweep init --example quick", ["quickstart"]),
        (
            "norm-sweep reproduce grid.yaml groupnorm-bs008",
            ["groupnorm-bs008-s0", "groupnorm-bs008-s1"],
        ),
        ("norm-sweep reproduce missing.yaml groupnorm", []),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_words_are_completed(words: str, found: list[str]) -> None:
    write()
    Path("grids").mkdir()
    Path("grid.txt").touch()
    assert completed(words) == found
