"""`--scale small`, as it is typed."""

from __future__ import annotations

import pytest
from small_grids import write
from typer.testing import CliRunner, Result

from sweep.cli.app import app
from sweep.errors import ExitCode


def typed(*arguments: str) -> Result:
    return CliRunner().invoke(app, [*arguments])


def test_a_small_preset_says_so_in_large_letters() -> None:
    write(data={"name": "cifar10"})
    small, full = typed("plan", "grid.yaml", "--scale", "small"), typed("plan", "grid.yaml")
    replaced = "digits (512 training and 300 test images) for cifar10"
    assert f"SMALL EDITION: {replaced}" in small.output
    assert "MLflow experiment small-small" in small.output
    assert "EDITION" not in full.output
    assert "MLflow experiment small\n" in full.output


@pytest.mark.parametrize("command", ["plan", "run", "status", "sync"])
def test_a_scale_that_there_is_not_is_refused(command: str) -> None:
    write()
    result = typed(command, "grid.yaml", "--scale", "tiny")
    assert result.exit_code == ExitCode.REFUSED
    assert result.stderr == "--scale: expected full or small, found 'tiny'\n"


@pytest.mark.parametrize("command", [["plan"], ["run"], ["run", "--dry-run"]])
def test_what_has_no_trainable_data_is_refused_before_it_starts(command: list[str]) -> None:
    write(data={"name": "imagenet"})
    result = typed(*command, "grid.yaml")
    assert result.exit_code == ExitCode.REFUSED
    assert result.stderr == (
        "grid.yaml: imagenet is known here by its dimensions alone, so there is nothing to train; "
        "`norm-sweep parameters grid.yaml` counts the parameters\n"
    )
