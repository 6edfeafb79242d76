from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from small_grids import SMALL, complaints, factors, load, write

from sweep.errors import GridError
from sweep.grid.layout import load_grid

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


def test_an_override_may_set_what_the_sections_leave_out() -> None:
    schedule = {"train.schedule.name": "multistep", "train.schedule.milestones": [1, 2]}
    override = {"when": {"batch_size": 8}, "set": schedule}
    milestones = {
        t.spec.batch_size: t.spec.train.schedule.milestones
        for t in load(overrides=[override]).trials
    }
    assert milestones == {16: (), 8: (1, 2)}


def test_a_rule_names_a_norm_by_its_label_or_as_it_is_listed() -> None:
    groups_of_8 = {"name": "groupnorm", "num_groups": 8}
    norms = ["groupnorm", groups_of_8, "batchnorm"]
    for name in ("groupnorm(num_groups=8)", groups_of_8):
        grid = load(**factors(norm=norms), exclude=[{"norm": name, "seed": 0}])
        assert {t.norm for t in grid.trials if t.spec.seed == 0} == {"groupnorm", "batchnorm"}
        assert len({t.norm for t in grid.trials if t.spec.seed == 1}) == 3


def test_a_label_that_is_a_familys_name_too_means_that_norm_alone() -> None:
    """`{norm: groupnorm}` took both away, and then there was no trial of the other one."""
    norms = ["groupnorm", {"name": "groupnorm", "num_groups": 8}, "batchnorm"]
    rules = [{"norm": "groupnorm", "batch_size": 8}]
    rules += [{"norm": "groupnorm(num_groups=8)", "batch_size": 16}]
    grid = load(**factors(norm=norms), exclude=rules)
    assert {(t.norm, t.spec.batch_size) for t in grid.trials} == {
        ("groupnorm", 16),
        ("groupnorm(num_groups=8)", 8),
        ("batchnorm", 16),
        ("batchnorm", 8),
    }
    assert grid.notes == (
        "exclude[0].norm: groupnorm is the norm with default options alone, and does not mean "
        "groupnorm(num_groups=8)",
    )


def test_a_familys_name_that_is_no_label_means_all_of_it() -> None:
    norms = [{"name": "groupnorm", "num_groups": n} for n in (2, 8)]
    grid = load(**factors(norm=[*norms, "batchnorm"]), exclude=[{"norm": ["groupnorm"]}])
    assert {t.norm for t in grid.trials} == {"batchnorm"}
    left = "groupnorm(num_groups=2), groupnorm(num_groups=8)"
    assert grid.warnings == (f"factors.norm: `exclude` leaves no trial of {left}",)


def test_a_level_of_any_factor_without_trials_is_a_warning() -> None:
    grid = load(exclude=[{"batch_size": 16}, {"seed": [1, 7]}])
    assert grid.warnings == (
        "exclude[1].seed[1]: no level of seed is 7; its levels are 0, 1",
        "factors.batch_size: `exclude` leaves no trial of 16",
        "factors.seed: `exclude` leaves no trial of 1",
    )


def test_an_override_sets_options_of_the_norm() -> None:
    rule = {"when": {"norm": "batchnorm", "batch_size": 8}, "set": {"norm.momentum": 0.003}}
    grid = load(overrides=[rule])
    found = {(t.norm, t.spec.batch_size): t.spec.norm.options.get("momentum") for t in grid.trials}
    assert found == {
        ("batchnorm", 16): 0.1,
        ("batchnorm", 8): 0.003,
        ("groupnorm", 16): None,
        ("groupnorm", 8): None,
    }
    (note,) = grid.notes
    assert "batchnorm has momentum=0.003 at batch_size 8" in note
    assert "one norm" in note


@pytest.mark.parametrize(
    ("when", "option", "value", "expected"),
    [
        ({"norm": "batchnorm"}, "momentun", 0.1, "has no option 'momentun'; did you mean"),
        ({"norm": "batchnorm"}, "momentum", "x", "expected a number such as 0.1, found 'x'"),
        ({"batch_size": 8}, "momentum", 0.1, "name the norms that have it: when: {norm: [batch"),
    ],
)
def test_options_of_the_norm_that_cannot_be_set(
    when: dict[str, Any], option: str, value: Any, expected: str
) -> None:
    found = complaints(overrides=[{"when": when, "set": {f"norm.{option}": value}}])
    assert len(found) == 1
    assert expected in found[0]
    assert found[0].startswith(f"overrides[0].set.norm.{option}: ")


def test_an_option_that_a_label_states_is_not_set_by_an_override() -> None:
    norms = ["batchnorm", {"name": "batchnorm", "momentum": 0.01}]
    rule = {"when": {"norm": "batchnorm(momentum=0.01)"}, "set": {"norm.momentum": 0.5}}
    (found,) = complaints(**factors(norm=norms), overrides=[rule])
    assert "cannot be set, since the label 'batchnorm(momentum=0.01)' states it" in found
    rule = {"when": {"batch_size": 8}, "set": {"norm.eps": 0.5}}
    trials = load(**factors(norm=norms), overrides=[rule]).trials
    assert {t.spec.norm.options["eps"] for t in trials if t.spec.batch_size == 8} == {0.5}


def test_levels_that_a_command_replaces_leave_rules_without_effect() -> None:
    file = write(exclude=[{"norm": "batchnorm", "batch_size": 8}], reference="batchnorm")
    with pytest.raises(GridError) as refused:
        load_grid(file, ["factors.norm=[groupnorm]"])
    (message,) = refused.value.messages
    assert message.endswith("found 'batchnorm'; give `--set reference=groupnorm` too")
    trials = load_grid(file, ["factors.norm=[groupnorm]", "reference=groupnorm"]).trials
    assert {t.spec.batch_size for t in trials} == {16, 8}


def test_further_factors_make_variants() -> None:
    further = {"train.optimizer.lr": [0.1, 0.2], "train.schedule.milestones": [[1], [1, 2]]}
    grid = load(**factors(**further), train=MULTISTEP, exclude=[{"train.optimizer.lr": 0.1}])
    variants = {t.variant: t.spec.train for t in grid.trials}
    assert set(variants) == {
        "train.optimizer.lr=0.2, train.schedule.milestones=1",
        "train.optimizer.lr=0.2, train.schedule.milestones=1/2",
    }
    assert {train.schedule.milestones for train in variants.values()} == {(1,), (1, 2)}
    assert grid.trials[0].name.startswith("batchnorm-bs016-s0-train.optimizer.lr=0.2")
    assert load().trials[0].name == "batchnorm-bs016-s0"


RULE = {"train.epochs": 1}


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        (
            {"overrides": [{"when": {"batch_size": 7}, "set": RULE}]},
            ["overrides[0].when.batch_size: no level of batch_size is 7; its levels are 16, 8"],
        ),
        (
            {"overrides": [{"when": {"norm": "layernorm", "seed": [7, 8]}, "set": RULE}]},
            [
                "overrides[0].when.norm: no norm of this grid is called 'layernorm'; known: "
                "batchnorm, groupnorm",
                "overrides[0].when.seed[0]: no level of seed is 7; its levels are 0, 1",
                "overrides[0].when.seed[1]: no level of seed is 8; its levels are 0, 1",
            ],
        ),
        (
            {"exclude": [{"norm": "groupnorm", "batch_size": 3}]},
            ["exclude[0].batch_size: no level of batch_size is 3; its levels are 16, 8"],
        ),
        ({"exclude": [{}]}, ["exclude: leaves no trial"]),
        (
            {
                "exclude": [{"batch_size": 8}],
                "overrides": [{"when": {"batch_size": 8}, "set": RULE}],
            },
            ["overrides[0]: matches no trial of the grid (batch_size: 8)"],
        ),
        (
            {"overrides": [{"when": {"norm": {"name": "layernorm"}}, "set": RULE}]},
            [
                "overrides[0].when.norm: no norm of this grid is called {'name': 'layernorm'} "
                "(they are batchnorm, groupnorm)"
            ],
        ),
        (
            {"overrides": [{"when": {"batch_size": [[8]]}, "set": RULE}]},
            [
                "overrides[0].when.batch_size[0]: no level of batch_size is a list of 1; its "
                "levels are 16, 8"
            ],
        ),
        (
            {"overrides": [{"when": {"batch": 8}, "set": {"train.epoch": 1}}]},
            [
                "overrides[0].when.batch: unknown name; did you mean 'batch_size'?",
                "overrides[0].set.train.epoch: unknown name; did you mean 'train.epochs'?",
            ],
        ),
        (
            {"overrides": [{"when": {"batch_size": 8}, "set": {"norm": "groupnorm"}}]},
            [
                "overrides[0].set.norm: unknown name; list norms under factors.norm; norm.momentum "
                "sets an option of one"
            ],
        ),
        (
            {"overrides": [{"when": {"batch_size": 8}, "set": {}}]},
            ["overrides[0].set: expected a field to set, found an empty mapping"],
        ),
        (
            {"exclude": [{"norm": {"name": "groupnorm", "groups": 8}}]},
            [
                "exclude[0].norm.groups: norm 'groupnorm' has no option 'groups'; did you mean "
                "'num_groups'? (its options are num_groups, fewer_groups, eps)"
            ],
        ),
        (
            {"exclude": [{"norm": [["groupnorm"]]}]},
            [
                "exclude[0].norm[0]: no norm of this grid is called a list of 1 (they are "
                "batchnorm, groupnorm)"
            ],
        ),
        (
            {"exclude": [{"nrm": "groupnorm"}]},
            ["exclude[0].nrm: unknown name; did you mean 'norm'?"],
        ),
        (
            {"overrides": [{"when": {"batch_size": 8}, "set": {"train.epochs": 0}}]},
            ["overrides[0].set.train.epochs: expected a number >= 1, found 0"],
        ),
        (
            {"overrides": [{"when": {"batch_size": 8}, "set": {"model.name": "resnet9"}}]},
            ["overrides[0].set.model.name: unknown model 'resnet9'; did you mean 'resnet8'?"],
        ),
    ],
)
def test_rules_that_do_not_hold(changes: dict[str, Any], expected: list[str]) -> None:
    assert complaints(**changes) == expected


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
            {"train": {"epochs": 1, "schedule": {"name": "multistep", "milestones": [2, 1]}}},
            "train.schedule.milestones: expected increasing epochs, found [2, 1]",
        ),
    ],
)
def test_fields_that_contradict_each_other(changes: dict[str, Any], expected: str) -> None:
    assert complaints(**changes) == [expected]


def test_two_levels_that_become_one_trial() -> None:
    override = {"when": {}, "set": {"train.optimizer.lr": 0.5}}
    found = complaints(
        **factors(norm=["batchnorm"], batch_size=[8], seed=1, **{"train.optimizer.lr": [0.1, 0.2]}),
        overrides=[override],
    )
    assert found == [
        "overrides: makes batchnorm-bs008-s0-train.optimizer.lr=0.2 the same trial as "
        "batchnorm-bs008-s0-train.optimizer.lr=0.1; exclude one of them"
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
        (trial.spec.batch_size, trial.spec.optimizer_batch_size, trial.variant)
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
    assert [t.variant for t in grid.trials[:3]] == [
        "train.optimizer.lr=0.2",
        "train.optimizer.lr=0.05",
        "train.optimizer.lr=0.01",
    ]
    assert (len(grid.trials), grid.warnings) == (24, ())
