"""A grid can name things; it cannot make, run or reach what its user did not."""

from __future__ import annotations

import json
import unicodedata
from typing import Any

import pytest
from user_folder import SMALL, Folder

ESCAPE = "\x1b[2J\x1b]0;owned\x07"


def refused(folder: Folder, text: str, command: str = "run") -> list[str]:
    """The lines on stderr for a grid of this text; nothing else may have happened."""
    (folder.path / "grid.yaml").write_text(text)
    before = sorted(folder.path.rglob("*"))
    done = folder.sweep(command, "grid.yaml")
    assert done.returncode == 2, done.stdout + done.stderr
    shown = done.stdout + done.stderr
    assert "Traceback" not in shown
    assert not any(unicodedata.category(c) == "Cc" for c in shown if c != "\n")
    assert sorted(folder.path.rglob("*")) == before
    return done.stderr.splitlines()


def changed(**changes: Any) -> str:
    """The small grid as JSON, which is YAML with every character escaped."""
    return json.dumps({**SMALL, **changes}, indent=1)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (changed(storage="!!python") + "\nx: !!python/object/apply:os.system ['touch owned']", ""),
        ("a: &a [x, x]\nb: &b [*a, *a]\nname: !!python/name:os.system", "found the tag"),
        (changed(name=ESCAPE), "control characters in a text: \\x1b[2J"),
        (changed(**{f"train{ESCAPE}": 1}), "control characters in a text: train\\x1b"),
        (changed(storage="runs\x00/etc"), "control characters in a text: runs\\x00"),
        (changed(tracking={"experiment": "a\u202eb"}), "control characters in a text: a\\x202eb"),
        (changed(factors={**SMALL["factors"], "norm": [f"json:{ESCAPE}"]}), "control characters"),
        (changed(name="../../outside"), "name: expected letters, digits, '.', '_' and '-'"),
        (changed(name="/tmp/outside"), "name: expected letters, digits, '.', '_' and '-'"),
        (changed(name=".."), "name: expected letters, digits, '.', '_' and '-'"),
        (changed(name="x" * 101), "name: expected letters, digits, '.', '_' and '-'"),
        (changed(factors={**SMALL["factors"], "seed": 10**9}), "factors.seed: expected"),
        (changed(factors={**SMALL["factors"], "batch_size": [10**30]}), "batch_size"),
        (
            changed(factors={**SMALL["factors"], "seed": 9999, "batch_size": [*range(1, 200)]}),
            "factors: expected at most 200,000 trials, found 3,979,602",
        ),
        ("# " + "x" * 10_000_000, "grid.yaml: expected a grid of at most 1,000,000 bytes"),
        ("x: " + "[" * 400_000, "nested too deeply"),
    ],
)
def test_a_hostile_grid_is_refused_in_plain_lines(folder: Folder, text: str, expected: str) -> None:
    lines = refused(folder, text)
    assert any(expected in line for line in lines), lines
    assert all(len(line) < 400 for line in lines)


def test_a_layers_error_cannot_speak_to_the_terminal(folder: Folder) -> None:
    (folder.path / "layers.py").write_text(f"raise ValueError({ESCAPE!r})\n")
    text = changed(factors={**SMALL["factors"], "norm": ["layers:Norm"]})
    (folder.path / "__pycache__").mkdir()
    lines = refused(folder, text, "plan")
    assert "\\x1b[2J" in lines[0]


def test_a_record_of_somebody_elses_cannot_speak_to_the_terminal(folder: Folder) -> None:
    folder.grid()
    plan = folder.sweep("plan", "grid.yaml")
    assert plan.returncode == 0
    from sweep.grid.model import load_grid

    trial = load_grid(folder.path / "grid.yaml").trials[0]
    place = folder.path / "runs" / "small" / "trials" / trial.trial_id
    place.mkdir(parents=True)
    record = {"record_version": 1, "trial_id": trial.trial_id, "spec": {}, "outcome": None}
    (place / "record.json").write_text(json.dumps({**record, ESCAPE: 1}))
    done = folder.sweep("status", "grid.yaml")
    assert done.returncode == 2
    assert "1 not readable" in done.stdout
    assert "\x1b" not in done.stdout + done.stderr
    (line,) = done.stderr.splitlines()
    assert "not a record" in line
