"""Overrides and exclusions: which trials they concern, and what is wrong with one."""

from __future__ import annotations

from typing import Any

import pytest
from small_grids import complaints, factors, load, write

from sweep.errors import GridError
from sweep.grid.model import load_grid

RULE = {"train.epochs": 1}


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
    ("fields", "expected"),
    [
        ({"train": {"epochs": 4}}, "train: expected dotted names, such as `train.epochs: 4`"),
        (
            {"train.optimizer": {"lr": 0.5}},
            "train.optimizer: expected dotted names, such as `train.optimizer.lr: 0.5`",
        ),
        (
            {"batch_size": 8},
            "batch_size: is a factor and cannot be set; list it under factors.batch_size, or use "
            "`when`",
        ),
        ({"seed": 8}, "seed: is a factor and cannot be set; list it under factors.seed, or use "),
        ({"lr": 0.5}, "lr: unknown name; did you mean 'train.optimizer.lr'?"),
        ({"train.eval_statistics": ["ema", "ema"]}, "train.eval_statistics: listed twice: 'ema'"),
    ],
)
def test_what_cannot_be_set_is_told_with_what_to_type(
    fields: dict[str, Any], expected: str
) -> None:
    (complaint,) = complaints(overrides=[{"when": {"batch_size": 8}, "set": fields}])
    assert complaint.startswith(f"overrides[0].set.{expected}")


def test_an_override_cannot_set_a_further_factor_which_labels_state() -> None:
    name = "train.optimizer.lr"
    when = {"norm": "groupnorm", name: 0.1}
    found = complaints(
        **factors(**{name: [0.1, 0.01]}), overrides=[{"when": when, "set": {name: 0.05}}]
    )
    assert found == [
        f"overrides[0].set.{name}: is a factor and cannot be set, since the label states it; list "
        f"it under factors.{name}, or use `when`"
    ]
    beside = {"when": when, "set": {"train.optimizer.momentum": 0.5}}
    grid = load(**factors(**{name: [0.1, 0.01]}), overrides=[beside])
    momenta = {(t.norm, str(t.variant)): t.spec.train.optimizer.momentum for t in grid.trials}
    assert momenta["groupnorm", f"{name}=0.1"] == 0.5
    assert 0.5 not in [momenta[key] for key in momenta if key != ("groupnorm", f"{name}=0.1")]
