"""The factor `seed: {until: decided, from: 3, to: 12}`."""

from __future__ import annotations

from typing import Any

import pytest
from small_grids import complaints, factors, load

from sweep.errors import GridError
from sweep.grid.model import load_grid
from sweep.grid.preset_changes import Preset
from sweep.grid.presets import apply_preset

SEEDS: dict[str, Any] = {"until": "decided", "from": 3, "to": 5}


def test_the_trials_are_those_of_all_seeds_that_may_be_trained() -> None:
    grid = load(**factors(seed=SEEDS))
    assert grid.seed_looks is not None
    assert (grid.seed_looks.first, grid.seed_looks.last) == (3, 5)
    fixed = load(**factors(seed=5))
    assert fixed.seed_looks is None
    assert [t.trial_id for t in grid.trials] == [t.trial_id for t in fixed.trials]


@pytest.mark.parametrize(
    ("seeds", "expected"),
    [
        ({**SEEDS, "from": 2}, "factors.seed.from: expected a number >= 3, found 2"),
        ({**SEEDS, "from": True}, "factors.seed.from: expected a whole number, found true"),
        ({**SEEDS, "to": 101}, "factors.seed.to: expected a number <= 100, found 101"),
        (
            {**SEEDS, "from": 6},
            "factors.seed.to: expected a whole number >= `from` (6), found 5",
        ),
        ({**SEEDS, "until": "significant"}, "factors.seed.until: expected 'decided', found 'sign"),
        ({"until": "decided", "from": 3}, "factors.seed.to: is required and missing"),
        ({**SEEDS, "form": 3}, "factors.seed.form: unknown key; did you mean 'from'?"),
        ({}, "factors.seed.until: is required and missing"),
    ],
)
def test_a_mistake_in_the_mapping_is_named_with_its_key(seeds: Any, expected: str) -> None:
    found = complaints(**factors(seed=seeds))
    assert any(line.startswith(expected) for line in found), found


def test_a_mistake_has_its_line() -> None:
    with pytest.raises(GridError) as caught:
        load(**factors(seed={**SEEDS, "from": 1}))
    (problem,) = caught.value.problems
    with open("grid.yaml") as file:
        assert "from: 1" in file.read().splitlines()[problem.line - 1]


def test_one_norm_alone_cannot_be_decided_on() -> None:
    (found,) = complaints(**factors(seed=SEEDS, norm=["batchnorm"]))
    assert found.startswith("factors.seed: `until: decided` compares norms with a reference")


def test_a_rule_must_not_name_seeds() -> None:
    found = complaints(
        **factors(seed=SEEDS),
        exclude=[{"norm": "batchnorm", "seed": 1}],
        overrides=[{"when": {"seed": [0]}, "set": {"train.epochs": 2}}],
    )
    places = {line.partition(":")[0] for line in found}
    assert places == {"overrides[0].when.seed", "exclude[0].seed"}


def test_a_command_sets_it() -> None:
    load(**factors(seed=2))
    grid = load_grid("grid.yaml", ["factors.seed={until: decided, from: 3, to: 4}"])
    assert grid.seed_looks is not None
    assert grid.seed_looks.last == 4


def test_the_small_preset_has_fixed_seeds() -> None:
    small = apply_preset(load(**factors(seed=SEEDS)), Preset.SMALL)
    assert small.seed_looks is None
    assert {trial.spec.seed for trial in small.trials} == {0, 1, 2}
