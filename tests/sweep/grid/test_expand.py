from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from small_grids import SMALL, complaints, factors, load, write

from sweep.errors import GridError
from sweep.grid.model import load_grid

NORMS = ("batchnorm", "groupnorm", "instancenorm", "layernorm", "assocnorm")
PRODUCTS = st.fixed_dictionaries(
    {
        "norm": st.lists(st.sampled_from(NORMS), min_size=1, max_size=3, unique=True),
        "batch_size": st.lists(st.integers(1, 64), min_size=1, max_size=3, unique=True),
        "seed": st.lists(st.integers(0, 9), min_size=1, max_size=3, unique=True),
    },
    optional={
        "train.optimizer.lr": st.lists(st.floats(1e-6, 1.0), min_size=1, max_size=2, unique=True),
        "train.optimizer.nesterov": st.just([False, True]),
        "train.schedule.milestones": st.just([[1], [1, 2]]),
    },
)
NO_MILESTONES = "the multistep schedule needs them; state them, or name the schedule constant"
MULTISTEP = {"epochs": 3, "schedule": {"name": "multistep", "milestones": [1]}}


@given(levels=PRODUCTS, data=st.data())
def test_a_grid_is_the_product_of_its_levels_less_what_is_excluded(
    levels: dict[str, list[Any]], data: st.DataObject, tmp_path_factory: pytest.TempPathFactory
) -> None:
    crossed = list(itertools.product(levels["norm"], levels["batch_size"]))
    excluded = data.draw(st.lists(st.sampled_from(crossed), unique=True, max_size=len(crossed) - 1))
    exclude = [{"norm": norm, "batch_size": size} for norm, size in excluded]
    file = tmp_path_factory.getbasetemp() / "product.yaml"
    trials = load(file, factors=levels, train=MULTISTEP, exclude=exclude).trials

    further = [name for name in levels if "." in name]
    combinations = itertools.product(*(levels[name] for name in further))
    num_variants = len(list(combinations))
    num_cells = len(crossed) - len(excluded)
    assert len(trials) == num_cells * len(levels["seed"]) * num_variants
    assert len({trial.trial_id for trial in trials}) == len(trials)
    cells = {(t.spec.norm.name, t.spec.batch_size, t.spec.seed, t.variant) for t in trials}
    assert len(cells) == len(trials)
    assert not {(norm, size) for norm, size, *_ in cells} & set(excluded)
    seeds = [trial.spec.seed for trial in trials]
    assert seeds == sorted(seeds, key=levels["seed"].index)


def test_every_field_reaches_the_specs_and_the_rest_has_its_default() -> None:
    data = {"name": "digits", "augment": "crop_flip", "num_train": 64}
    optimizer = {"lr": 0.5, "momentum": 0.0, "nesterov": False, "weight_decay": 0.01}
    schedule = {"name": "multistep", "milestones": [1, 2], "gamma": 0.5}
    train = {"epochs": 4, "optimizer": optimizer, "schedule": schedule}
    for trial in load(data=data, train=train).trials:
        assert vars(trial.spec.data) == {**data, "num_test": None, "options": {}, "digest": ""}
        found = vars(trial.spec.train.optimizer)
        assert found == {**optimizer, "name": "sgd", "decay_norm_and_bias": True}
        assert trial.spec.train.schedule.milestones == (1, 2)
        assert (trial.spec.train.epochs, trial.spec.train.lr_scaling) == (4, "none")
        assert (trial.spec.model.name, trial.spec.model.stem) == ("resnet8", "cifar")


def test_overrides_apply_in_order_to_what_they_match() -> None:
    grid = load(
        overrides=[
            {"when": {}, "set": {"train.optimizer.lr": 0.1, "train.epochs": 7}},
            {"when": {"batch_size": [8, 4]}, "set": {"train.optimizer.lr": 0.2}},
            {"when": {"norm": "groupnorm", "batch_size": 8}, "set": {"train.optimizer.lr": 0.3}},
            {"when": {"seed": 1}, "set": {"train.epochs": 9}},
        ]
    )
    found = {
        (t.norm, t.spec.batch_size, t.spec.seed): (t.spec.train.optimizer.lr, t.spec.train.epochs)
        for t in grid.trials
    }
    lrs = {("batchnorm", 16): 0.1, ("groupnorm", 16): 0.1}
    lrs |= {("batchnorm", 8): 0.2, ("groupnorm", 8): 0.3}
    assert found == {
        (*cell, seed): (lr, epochs) for cell, lr in lrs.items() for seed, epochs in ((0, 7), (1, 9))
    }


def test_further_factors_make_variants() -> None:
    further = {"train.optimizer.lr": [0.1, 0.2], "train.schedule.milestones": [[1], [1, 2]]}
    grid = load(**factors(**further), train=MULTISTEP, exclude=[{"train.optimizer.lr": 0.1}])
    variants = {str(t.variant): t.spec.train for t in grid.trials}
    assert set(variants) == {
        "train.optimizer.lr=0.2, train.schedule.milestones=1",
        "train.optimizer.lr=0.2, train.schedule.milestones=1/2",
    }
    assert {train.schedule.milestones for train in variants.values()} == {(1,), (1, 2)}
    assert grid.trials[0].name.startswith("batchnorm-bs016-s0-train.optimizer.lr=0.2")
    assert load().trials[0].name == "batchnorm-bs016-s0"


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        (
            {"data": {"name": "digits", "num_train": 99_999}},
            "data: `1 <= num_train <= 1437` must hold for digits, but got num_train=99999",
        ),
        (
            {"model": {"name": "resnet18", "width": 4}},
            "model: model resnet18 has no option width, but got width=4",
        ),
        (
            {"train": {"epochs": 1, "lr_scaling": "sqrt"}},
            "train.lr_scaling: 'sqrt' is relative to `train.reference_batch_size`; state it",
        ),
        (
            {"train": {"epochs": 1, "schedule": {"milestones": [1]}}},
            "train.schedule.milestones: belongs to the multistep schedule, but the schedule is "
            "'constant'",
        ),
        (
            {"train": {"epochs": 1, "schedule": {"name": "multistep"}}},
            f"train.schedule.milestones: {NO_MILESTONES}",
        ),
        (
            {"train": {"epochs": 1, "schedule": {"name": "multistep", "milestones": []}}},
            f"train.schedule.milestones: {NO_MILESTONES}",
        ),
        (
            {"train": {"epochs": 1, "schedule": {"name": "multistep", "milestones": [2, 1]}}},
            "train.schedule.milestones: expected increasing epochs, found [2, 1]",
        ),
    ],
)
def test_fields_that_contradict_each_other(changes: dict[str, Any], expected: str) -> None:
    assert complaints(**changes) == [expected]


def test_two_levels_that_become_one_trial() -> None:
    width = {"model.width": [None, 16]}
    found = complaints(**factors(norm=["batchnorm"], batch_size=[8], seed=1, **width))
    assert found == [
        "overrides: makes batchnorm-bs008-s0-model.width=16 the same trial as "
        "batchnorm-bs008-s0-model.width=null; exclude one of them"
    ]


def test_a_section_that_only_a_factor_or_an_override_completes() -> None:
    grid = load(**factors(**{"train.epochs": [1, 2]}), train={})
    assert {trial.spec.train.epochs for trial in grid.trials} == {1, 2}
    assert complaints(train={}) == ["train.epochs: is required and missing"]


def test_reading_leaves_the_file_alone() -> None:
    before = SMALL | {"overrides": [{"when": {}, "set": {"train.epochs": 2}}]}
    load(**before)
    text = Path("grid.yaml").read_text()
    load(**before)
    assert Path("grid.yaml").read_text() == text


def test_a_width_that_is_left_out_is_the_models_own() -> None:
    ids = [
        [trial.trial_id for trial in load(model={"name": "resnet8", **width}).trials]
        for width in ({}, {"width": None}, {"width": 16})
    ]
    assert ids[0] == ids[1] == ids[2]


def test_an_optimizer_step_takes_whole_batches() -> None:
    train = {"epochs": 1, "optimizer_batch_size": 24}
    assert complaints(train=train) == [
        "train.optimizer_batch_size: expected a multiple of the batch size 16, found 24"
    ]
    accumulated = factors(**{"train.optimizer_batch_size": [None, 16]})
    found = {
        (trial.spec.batch_size, trial.spec.optimizer_batch_size, str(trial.variant))
        for trial in load(**accumulated).trials
    }
    name = "train.optimizer_batch_size"
    assert found == {
        (16, 16, f"{name}=null"),
        (8, 8, f"{name}=null"),
        (16, 16, f"{name}=16"),
        (8, 16, f"{name}=16"),
    }


def test_contradictions_are_named_beside_the_mistakes_of_other_sections() -> None:
    train = {"epochs": 1, "optimizer_batch_size": 24, "lr_scaling": "linear"}
    found = complaints(data={"name": "digitz"}, model={"name": "resnet8", "wdith": 4}, train=train)
    places = [line.partition(":")[0] for line in found]
    assert sorted(places) == [
        "data.name",
        "model.wdith",
        "train.lr_scaling",
        "train.optimizer_batch_size",
    ]


def test_a_wrong_type_hides_no_other_mistake() -> None:
    """Each of three mistakes of a section, and those of the sections behind it."""
    schedule = {"name": "cosine", "milestones": [3, 1]}
    optimizer = {"lr": "0.1", "momentun": 0.9}
    found = complaints(
        data="digits",
        model={"name": "resnet9"},
        train={"epochs": "3", "optimizer": optimizer, "schedule": schedule},
        factors={"norm": ["batchnorm"], "batch_size": [8], "seed": "2"},
        exclude=[{"batch_size": 3}],
        epochs=3,
    )
    assert found == [
        "factors.seed: expected a list of seeds, or how many (1 to 10000), found '2'",
        "data: expected a mapping, found 'digits'",
        "model.name: unknown model 'resnet9'; did you mean 'resnet8'?",
        "train.epochs: expected a whole number, found '3'",
        "train.optimizer.lr: expected a number, found '0.1'",
        "train.optimizer.momentun: unknown key; did you mean 'momentum'?",
        "train.schedule.milestones: belongs to the multistep schedule, but the schedule is "
        "'cosine'",
        "train.schedule.milestones: expected increasing epochs, found [3, 1]",
        "exclude[0].batch_size: no level of batch_size is 3; its levels are 8",
        "epochs: unknown key; did you mean 'train.epochs'?",
    ]


@pytest.mark.parametrize(
    ("key", "meant"),
    [
        ("epochs", "'train.epochs'"),
        ("lr", "'train.optimizer.lr'"),
        ("compile", "'resources.compile'"),
        ("experiment", "'tracking.experiment'"),
    ],
)
def test_a_field_without_its_section_is_suggested_with_it(key: str, meant: str) -> None:
    with pytest.raises(GridError) as refused:
        load_grid(write(), [f"{key}=3"])
    assert refused.value.messages == (f"grid.yaml: {key}: unknown key; did you mean {meant}?",)


def test_epochs_have_a_bound() -> None:
    (found,) = complaints(train={"epochs": 10**10})
    assert found == "train.epochs: expected a number <= 1,000,000, found 10000000000"


def test_a_grid_over_learning_rates_has_a_variant_for_each() -> None:
    grid = load(**factors(**{"train.optimizer.lr": [0.2, 0.05, 0.01]}))
    assert [str(t.variant) for t in grid.trials[:3]] == [
        "train.optimizer.lr=0.2",
        "train.optimizer.lr=0.05",
        "train.optimizer.lr=0.01",
    ]
    assert (len(grid.trials), grid.warnings) == (24, ())


def test_overrides_may_state_the_milestones_of_every_trial() -> None:
    train = {"epochs": 3, "schedule": {"name": "multistep"}}
    overrides = [
        {"when": {"batch_size": size}, "set": {"train.schedule.milestones": [of]}}
        for size, of in ((16, 1), (8, 2))
    ]
    trials = load(train=train, overrides=overrides).trials
    assert {(t.spec.batch_size, t.spec.train.schedule.milestones) for t in trials} == {
        (16, (1,)),
        (8, (2,)),
    }
    expected = f"train.schedule.milestones: {NO_MILESTONES}"
    assert complaints(train=train, overrides=overrides[:1]) == [expected]
    (other,) = complaints(train=train, overrides=overrides, **factors(seed=[-1]))
    assert other.startswith("factors.seed[0]: expected")


@pytest.mark.parametrize("name", ["eval_statistics", "extra_metrics"])
def test_an_entry_listed_twice_is_one_complaint(name: str) -> None:
    entry = {"eval_statistics": "precise", "extra_metrics": "gradient_norm"}[name]
    expected = f"train.{name}: listed twice: {entry!r}"
    assert complaints(train={"epochs": 1, name: [entry, entry]}) == [expected]
