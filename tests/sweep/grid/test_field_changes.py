"""`--set`: a grid read as if its file said so."""

from __future__ import annotations

import shlex

import pytest
from small_grids import factors, load, write

from sweep.errors import GridError, RefusedError
from sweep.grid.model import load_grid


def test_a_change_is_as_if_the_file_said_so() -> None:
    changes = ["train.epochs=5", "train.optimizer.lr=5e-3", "factors.seed=[3, 4]", "storage=here"]
    changed = load_grid(write(), changes)
    said = load(
        train={"epochs": 5, "optimizer": {"lr": 0.005}},
        factors={"norm": ["batchnorm", "groupnorm"], "batch_size": [16, 8], "seed": [3, 4]},
        storage="here",
    )
    assert changed.trials == said.trials
    assert changed.storage == "here"


def test_a_section_that_is_not_there_comes_into_being() -> None:
    grid = load_grid(write(), ["resources.seeds_per_trainable=auto"])
    assert grid.resources.seeds_per_trainable == "auto"


def test_the_hints_of_commands_carry_it() -> None:
    grid = load_grid(write(), ["factors.seed=[0, 1]"])
    assert shlex.split(grid.arguments) == ["grid.yaml", "--set", "factors.seed=[0, 1]"]


@pytest.mark.parametrize("change", ["train.epochs", "=3", "train..epochs=3", "a b=3", "x[0]=1"])
def test_what_is_no_change_is_refused(change: str) -> None:
    with pytest.raises(RefusedError, match=r"^--set: expected FIELD=VALUE"):
        load_grid(write(), [change])


def test_a_value_is_no_section() -> None:
    with pytest.raises(RefusedError, match=r"^--set train.epochs.lr: train.epochs is not a sec"):
        load_grid(write(), ["train.epochs.lr=3"])


def test_a_value_that_is_no_yaml_is_refused() -> None:
    with pytest.raises(RefusedError, match=r"^--set train\.epochs: not valid YAML"):
        load_grid(write(), ["train.epochs=[1"])


def test_it_is_checked_like_the_file() -> None:
    with pytest.raises(GridError) as caught:
        load_grid(write(), ["train.epochs=none", "model.widht=4"])
    assert len(caught.value.problems) == 2
    assert all(problem.line == 0 for problem in caught.value.problems[:1])


def test_a_factor_is_set_as_one_by_its_dotted_name() -> None:
    changes = ["factors.train.optimizer.lr=[0.1, 0.02]", "factors.seed=1"]
    grid = load_grid(write(), changes)
    assert {trial.spec.train.optimizer.lr for trial in grid.trials} == {0.1, 0.02}


def test_what_a_factor_would_override_is_refused() -> None:
    file = write(**factors(**{"train.optimizer.lr": [0.1, 0.02]}))
    with pytest.raises(RefusedError, match=r"it is a factor here; set factors\.train\.opt"):
        load_grid(file, ["train.optimizer.lr=0.05"])
