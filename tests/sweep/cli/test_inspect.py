"""`plan --json` and `status --json`, as other programs read them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from small_grids import load, record_of, save, write
from typer.testing import CliRunner

from sweep.cli.app import app
from sweep.errors import ExitCode
from trainables.spec import Outcome


def printed(*arguments: str) -> dict[str, Any]:
    result = CliRunner().invoke(app, [*arguments])
    assert result.exit_code == ExitCode.DONE, result.output
    found: dict[str, Any] = json.loads(result.stdout)
    return found


def test_an_empty_sweep() -> None:
    write()
    plan, status = (printed(command, "grid.yaml", "--json") for command in ("plan", "status"))
    assert plan["num_trials"] == plan["num_missing"] == len(plan["missing"]) == 8
    assert plan["left_s"] is None
    assert plan["occupations"] == []
    assert status["trials"] == []
    assert status["running"] is None
    assert [cell["num_done"] for cell in status["cells"]] == [0] * 4


def test_what_is_done_is_told() -> None:
    grid = load()
    first, second, *_ = grid.trials
    save(grid, record_of(first, 3, Outcome.COMPLETED), record_of(second, 2, Outcome.FAILED))
    plan, status = (printed(command, "grid.yaml", "--json") for command in ("plan", "status"))
    assert plan["num_missing"] == 6
    assert plan["outcomes"] == {"completed": 1, "failed": 1}
    assert plan["left_s"] > 0
    assert plan["occupations"][0]["slots"] == 1
    told = {trial["trial_id"]: trial for trial in status["trials"]}
    assert told[first.trial_id]["test_error"] == 20.0
    assert told[second.trial_id]["error"] == "a bug"
    (cell,) = (c for c in plan["cells"] if (c["norm"], c["batch_size"]) == (first.norm, 16))
    assert (cell["num_done"], cell["mean_test_error"]) == (1, 20.0)


def test_a_change_reaches_it() -> None:
    write()
    found = printed("plan", "grid.yaml", "--json", "--set", "factors.seed=1")
    assert found["num_trials"] == 4


@pytest.mark.parametrize("command", ["plan", "run", "status", "sync", "gc"])
def test_a_wrong_change_is_one_line_and_exit_code_2(command: str) -> None:
    write()
    result = CliRunner().invoke(app, [command, "grid.yaml", "--set", "train.epochs"])
    assert result.exit_code == ExitCode.REFUSED
    assert result.stderr.startswith("--set: expected FIELD=VALUE")
    assert result.stderr.count("\n") == 1


def test_json_is_not_watched() -> None:
    write()
    result = CliRunner().invoke(app, ["status", "grid.yaml", "--json", "--watch"])
    assert result.exit_code == ExitCode.REFUSED


def test_watching_what_nobody_runs_shows_it_once() -> None:
    write()
    result = CliRunner().invoke(app, ["status", "grid.yaml", "--watch"])
    assert result.exit_code == ExitCode.DONE
    assert "nobody is running it" in result.stdout


def test_what_own_code_prints_stays_out_of_the_json() -> None:
    Path("chatty.py").write_text(
        "import torch\n\nprint('hello')\n\n\nclass Norm(torch.nn.Module):\n"
        "    def __init__(self, num_channels):\n        super().__init__()\n        print('made')\n"
        "    def forward(self, x):\n        return x\n"
    )
    write(factors={"norm": ["chatty:Norm"], "batch_size": [8], "seed": 1})
    assert printed("plan", "grid.yaml", "--json")["num_trials"] == 1
