from __future__ import annotations

import pickle
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from small_grids import SMALL, factors, load

from analysis.statistics.strata import parse_levels
from sweep.display.json_data import build_plan_data
from sweep.grid.variant import Variant, format_level
from sweep.planning.plan import make_plan
from sweep.planning.trial_states import save_expected
from sweep.tracking.tags import experiment_tags

AWKWARD = ["stem, train.optimizer.lr=0.5", "a=b", '"quoted"', "plain"]
"""Levels of `train.watch`, which is any text."""


def test_a_variant_is_a_mapping_that_does_not_change() -> None:
    variant = Variant.of({"train.optimizer.lr": 0.1, "train.schedule.milestones": [1, 2]})
    assert dict(variant) == {"train.optimizer.lr": 0.1, "train.schedule.milestones": (1, 2)}
    assert list(variant) == ["train.optimizer.lr", "train.schedule.milestones"]
    assert pickle.loads(pickle.dumps(variant)) == variant
    assert {variant: 1}[Variant.of(dict(variant))] == 1
    assert not Variant()
    with pytest.raises(TypeError):
        variant["train.optimizer.lr"] = 0.2  # type: ignore[index]
    with pytest.raises(KeyError):
        variant["lr"]


@pytest.mark.parametrize(
    ("levels", "label"),
    [
        ({}, ""),
        ({"a": 1, "b": None}, "a=1, b=null"),
        ({"a": True, "b": [150, 250]}, "a=true, b=150/250"),
        ({"a": "b=c"}, "a=b=c"),
        ({"a": "x, b=1"}, 'a="x, b=1"'),
        ({"a": ["x, y", 2]}, 'a="x, y/2"'),
        ({"a": '"x'}, 'a="\\"x"'),
        ({"a": "ü, ö"}, 'a="ü, ö"'),
    ],
)
def test_a_label_is_made_in_one_place(levels: dict[str, Any], label: str) -> None:
    assert str(Variant.of(levels)) == label


NAMES = st.from_regex(r"[a-z][a-z_]*(\.[a-z_]+){0,2}", fullmatch=True)
LEVELS = st.none() | st.booleans() | st.integers() | st.text() | st.lists(st.text(), max_size=3)


@given(one=st.dictionaries(NAMES, LEVELS, max_size=3), other=st.dictionaries(NAMES, LEVELS))
def test_no_two_texts_of_levels_have_one_label(one: dict[str, Any], other: dict[str, Any]) -> None:
    shown = [[(name, format_level(level)) for name, level in of.items()] for of in (one, other)]
    assert (str(Variant.of(one)) == str(Variant.of(other))) is (shown[0] == shown[1])


def test_levels_with_commas_and_equals_signs_stay_whole_from_the_grid_to_every_output() -> None:
    name = "train.watch"
    grid = load(**factors(norm=["batchnorm"], batch_size=[8], seed=1, **{name: AWKWARD}))
    assert [trial.variant[name] for trial in grid.trials] == AWKWARD
    assert [trial.spec.train.watch for trial in grid.trials] == AWKWARD
    plan = make_plan(grid)
    data = build_plan_data(plan, slots=1)
    for rows in (data["missing"], data["cells"]):
        assert [row["levels"] for row in rows] == [{name: level} for level in AWKWARD]
        assert len({row["variant"] for row in rows}) == len(AWKWARD)
    save_expected(plan)
    assert len({trial.name for trial in grid.trials}) == len(AWKWARD)
    assert len(experiment_tags(grid)["sweep.expected.small"].split('"variant"')) == 1 + len(AWKWARD)


def test_rules_may_name_a_level_with_a_comma() -> None:
    name, level = "train.watch", AWKWARD[0]
    grid = load(
        **factors(norm=["batchnorm"], batch_size=[8], seed=1, **{name: AWKWARD}),
        exclude=[{name: level}],
    )
    assert [trial.variant[name] for trial in grid.trials] == AWKWARD[1:]
    assert [str(item.variant) for item in grid.left_out] == [f'{name}="{level}"']
    assert "watch" not in SMALL["train"]


@given(levels=st.dictionaries(NAMES, LEVELS, max_size=4))
def test_the_analysis_reads_every_level_from_a_label(levels: dict[str, Any]) -> None:
    texts = {name: format_level(level) for name, level in levels.items()}
    assert parse_levels(str(Variant.of(levels))) == texts
