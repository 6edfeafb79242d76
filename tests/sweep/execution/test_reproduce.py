"""What is said of a trial that is trained again, and whether it counts as the record's."""

from __future__ import annotations

import os
from dataclasses import replace

import pytest
from small_assignments import assignment, folder_of, train
from small_grids import change_epoch, load, make_plan, write
from typer.testing import CliRunner

from sweep.cli.app import app
from sweep.errors import ExitCode
from sweep.execution.reproduce import reproduce
from sweep.planning.plan import Plan
from trainables.spec import Outcome


def trained(lr: float, fused: bool = False, **last_epoch: float) -> Plan:
    """A sweep of one trial, whose record is then changed: side by side, or by hand."""
    given = assignment(os.path.abspath("runs/small"), lr=lr)
    record = train(given)
    if fused:
        record.attempts[-1] = replace(record.attempts[-1], fused=2)
    for name, factor in last_epoch.items():
        last = record.epochs[-1].metrics
        change_epoch(record, last.epoch, **{name: getattr(last, name) * factor})
    folder_of(given).save(record)
    train_section = {"epochs": 2, "optimizer": {"lr": lr}}
    factors = {"norm": ["groupnorm"], "batch_size": [16], "seed": 1}
    return make_plan(load(factors=factors, train=train_section))


def verdict(plan: Plan) -> tuple[bool, list[str]]:
    lines: list[str] = []
    return reproduce(plan, plan.grid.trials[0], lines.append), lines


def test_a_trial_that_diverges_again_is_as_recorded() -> None:
    plan = trained(lr=1e30)
    assert plan.num(Outcome.DIVERGED) == 1
    same, lines = verdict(plan)
    assert same
    assert lines[-1].startswith("it diverges: ")
    assert lines[-1].endswith(", as its record says")


@pytest.mark.parametrize(("factor", "same"), [(1.05, True), (4.0, False)])
def test_losses_of_seeds_side_by_side_have_to_be_alike(factor: float, same: bool) -> None:
    found, lines = verdict(trained(lr=0.02, fused=True, train_loss=factor))
    assert lines[0].startswith("its record is of 2 seeds side by side")
    assert found is same


def test_alone_every_bit_counts() -> None:
    assert verdict(trained(lr=0.02))[0]
    assert not verdict(trained(lr=0.02, train_loss=1 + 1e-12))[0]


def test_a_few_steps_are_trained_and_nothing_is_compared() -> None:
    write()
    result = CliRunner().invoke(
        app, ["reproduce", "grid.yaml", "batchnorm-bs008-s0", "--steps", "3"]
    )
    assert result.exit_code == ExitCode.DONE, result.output
    assert "step 3: mean loss" in result.stdout
    assert "record" not in result.stdout
