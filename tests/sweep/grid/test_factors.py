from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from small_grids import FACTORS, complaints, factors, load

import normmods

NO_LIST = "expected a list of levels, found"


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"norm": "batchnorm"}, f"factors.norm: {NO_LIST} 'batchnorm'"),
        ({"norm": []}, "factors.norm: expected at least one level, found an empty list"),
        ({"batch_size": 8}, f"factors.batch_size: {NO_LIST} 8"),
        ({"batch_size": []}, "factors.batch_size: expected at least one level, found an empty"),
        ({"batch_size": [8, 0]}, "factors.batch_size[1]: expected a whole number >= 1, found 0"),
        ({"batch_size": [8.0]}, "factors.batch_size[0]: expected a whole number >= 1, found 8.0"),
        ({"batch_size": [True]}, "factors.batch_size[0]: expected a whole number >= 1, found true"),
        ({"batch_size": ["8"]}, "factors.batch_size[0]: expected a whole number >= 1, found '8'"),
        ({"batch_size": [None]}, "factors.batch_size[0]: expected a whole number >= 1, found noth"),
        ({"batch_size": [8, 4, 8]}, "factors.batch_size[2]: listed twice: 8"),
        ({"seed": 0}, "factors.seed: expected a list of seeds, or how many (1 to 10000), found 0"),
        ({"seed": True}, "factors.seed: expected a list of seeds, or how many"),
        ({"seed": 10_001}, "factors.seed: expected a list of seeds, or how many"),
        ({"seed": "3"}, "factors.seed: expected a list of seeds, or how many"),
        (
            {"seed": [2**63]},
            "factors.seed[0]: expected a whole number from 0 to 9223372036854775807, "
            "found 9223372036854775808",
        ),
        (
            {"batch_size": [10**20]},
            "factors.batch_size[0]: expected a whole number from 1 to 9223372036854775807, found 1",
        ),
        (
            {"train.eval_batch_size": [10**20]},
            "factors.train.eval_batch_size[0]: expected a whole number from 1 to "
            "9223372036854775807, found 1",
        ),
        (
            {"norm": [{"name": "ghostbatchnorm", "ghost_size": 2**63}]},
            "factors.norm[0].ghost_size: expected a whole number from -9223372036854775808 to "
            "9223372036854775807, found 9223372036854775808",
        ),
        ({"seed": [-1]}, "factors.seed[0]: expected a whole number >= 0, found -1"),
        ({"lr": [1]}, "factors.lr: unknown factor; did you mean 'train.optimizer.lr'?"),
        (
            {"train": {"epochs": [1, 2]}},
            "factors.train: expected dotted names, such as `train.epochs: [1, 2]`",
        ),
        (
            {"norm": ["batchnorm", {"name": "batchnorm", "eps": 1e-5}]},
            "factors.norm[1]: batchnorm with its default options is listed twice",
        ),
        (
            {"norm": [{"name": "groupnorm", "num_groups": 2}] * 2},
            "factors.norm[1]: groupnorm(num_groups=2) is listed twice",
        ),
        (
            {"train.eval_statistics": [["ema"], ["ema", "batch", "ema"]]},
            "factors.train.eval_statistics[1]: listed twice: 'ema'",
        ),
        ({"seed": [3, 3]}, "factors.seed[1]: listed twice: 3"),
        ({"train.lr": [1]}, "factors.train.lr: unknown factor; did you mean 'train.optimizer.lr'?"),
        ({"data.root": ["x"]}, "factors.data.root: unknown factor"),
        ({"train.schedule": [{}]}, "factors.train.schedule: unknown factor"),
        ({"train.epochs": 3}, f"factors.train.epochs: {NO_LIST} 3"),
        ({"train.epochs": []}, "factors.train.epochs: expected at least one level, found an empt"),
        ({"train.epochs": [1, 1]}, "factors.train.epochs[1]: listed twice: 1"),
        ({"train.epochs": [1, 0]}, "factors.train.epochs[1]: expected a number >= 1, found 0"),
        ({"train.epochs": [1.5]}, "factors.train.epochs[0]: expected a whole number, found 1.5"),
        ({"train.optimizer.lr": [{"a": 1}]}, "factors.train.optimizer.lr[0]: expected a number, "),
        ({"data.name": ["digits", "cifar"]}, "factors.data.name[1]: unknown data set 'cifar'; di"),
        ({"model.name": ["resnet9"]}, "factors.model.name[0]: unknown model 'resnet9'; did you "),
        ({"data.augment": ["flip"]}, "factors.data.augment[0]: expected 'none', 'crop_flip' or 'c"),
    ],
)
def test_a_wrong_factor_is_one_complaint(changes: dict[str, Any], expected: str) -> None:
    (complaint,) = complaints(**factors(**changes))
    assert complaint.startswith(expected)


@pytest.mark.parametrize("name", ["norm", "batch_size", "seed"])
def test_the_three_factors_are_required(name: str) -> None:
    rest = {key: value for key, value in FACTORS.items() if key != name}
    assert complaints(factors=rest) == [f"factors.{name}: is required and missing"]


@pytest.mark.parametrize(
    ("norm", "expected"),
    [
        (3, "factors.norm[0]: expected a norm's name, or {name: …, option: value}, found 3"),
        (None, "factors.norm[0]: expected a norm's name, or {name: …, option: value}, found noth"),
        ({"num_groups": 3}, "factors.norm[0]: expected a norm's name, or {name: …, option: val"),
        ("bachnorm", "factors.norm[0]: there is no norm 'bachnorm'; did you mean 'batchnorm'?"),
        (
            {"name": "groupnorm", "groups": 8},
            "factors.norm[0].groups: norm 'groupnorm' has no option 'groups'; did you mean 'num_gr",
        ),
        (
            {"name": "groupnorm", "num_groups": "8"},
            "factors.norm[0].num_groups: expected a whole number such as 32, found '8'",
        ),
        (
            {"name": "groupnorm", "num_groups": True},
            "factors.norm[0].num_groups: expected a whole number such as 32, found true",
        ),
        (
            {"name": "groupnorm", "fewer_groups": 1},
            "factors.norm[0].fewer_groups: expected true or false such as True, found 1",
        ),
        (
            {"name": "groupnorm", "eps": [1]},
            "factors.norm[0].eps: expected a number such as 1e-05, found a list of 1",
        ),
        (
            {"name": "groupnorm", "eps": float("nan")},
            "factors.norm[0].eps: expected a finite number, found nan",
        ),
        (
            {"name": "groupnorm", "eps": float("inf")},
            "factors.norm[0].eps: expected a finite number, found inf",
        ),
        ("sweep.errors:RefusedErro", "factors.norm[0]: norm 'sweep.errors:RefusedErro': sweep.e"),
    ],
)
def test_a_wrong_norm_is_one_complaint(norm: Any, expected: str) -> None:
    (complaint,) = complaints(**factors(norm=[norm]))
    assert complaint.startswith(expected)


LAYERS = """
class Scaled:
    def __init__(self, num_channels, gain, *, shift=0.0, order=(1, 2)): ...

def anything(num_channels, **options): ...

constant = 3
"""


def test_a_layer_of_the_users_own_is_read_from_its_signature() -> None:
    Path("own_layers.py").write_text(LAYERS)
    norms = [{"name": "own_layers:Scaled", "gain": 2}, {"name": "own_layers:anything", "k": "v"}]
    first, second = {t.norm: t.spec.norm for t in load(**factors(norm=norms)).trials}.values()
    assert first.options == {"gain": 2, "shift": 0.0}
    assert second.options == {"k": "v"}


def test_the_layers_module_may_lie_beside_the_grid() -> None:
    Path("elsewhere").mkdir()
    Path("elsewhere/layers_there.py").write_text(LAYERS)
    norm = {"name": "layers_there:Scaled", "gain": 1.0}
    assert len(load("elsewhere/grid.yaml", **factors(norm=[norm])).trials) == 4


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("absent_layers:Layer", "there is no module 'absent_layers' on the import path"),
        ("own_layers.inner:Layer", "there is no module 'own_layers.inner' on the import path"),
        ("raising_layers:Layer", "importing raising_layers raised ZeroDivisionError: division by"),
        ("needy_layers:Layer", "importing needy_layers raised ModuleNotFoundError: No module nam"),
        ("broken_layers:Layer", "importing broken_layers raised SyntaxError: "),
        ("own_layers:Scald", "own_layers has no 'Scald'; did you mean 'Scaled'?"),
        ("own_layers:constant", "constant is int, which cannot be called"),
        ("own_layers:", "there is no norm 'own_layers:'"),
        ({"name": "own_layers:Scaled"}, "norm 'own_layers:Scaled' needs a value for its option 'g"),
        ({"name": "own_layers:Scaled", "gain": 1, "x": 1}, "has no option 'x'"),
        ({"name": "own_layers:anything", "x": [1]}, "expected a plain value, found a list of 1"),
    ],
)
def test_each_way_a_users_layer_can_be_wrong_reads_differently(name: Any, expected: str) -> None:
    Path("own_layers.py").write_text(LAYERS)
    Path("raising_layers.py").write_text("1 / 0\n")
    Path("needy_layers.py").write_text("import absent_library\n")
    Path("broken_layers.py").write_text("class Layer(\n")
    (complaint,) = complaints(**factors(norm=[name]))
    assert complaint.startswith("factors.norm[0]")
    assert expected in complaint


def test_levels_are_kept_in_order() -> None:
    grid = load(**factors(batch_size=[2, 32, 8], seed=[5, 1]))
    assert list(dict.fromkeys(t.spec.batch_size for t in grid.trials)) == [2, 32, 8]
    assert list(dict.fromkeys(t.spec.seed for t in grid.trials)) == [5, 1]
    assert sorted({t.spec.seed for t in load(**factors(seed=3)).trials}) == [0, 1, 2]


def test_a_norm_stands_in_the_spec_with_all_its_options() -> None:
    grid = load(**factors(norm=list(normmods.names())))
    specs = {trial.spec.norm.name: trial.spec.norm for trial in grid.trials}
    assert {name: dict(spec.options) for name, spec in specs.items()} == {
        name: normmods.recorded_options(name, normmods.complete_options(name, {}))
        for name in normmods.names()
    }


def test_labels_tell_norms_of_one_name_apart() -> None:
    norms = [
        "batchnorm",
        "groupnorm",
        {"name": "groupnorm", "num_groups": 8},
        {"name": "groupnorm", "num_groups": 8, "eps": 1e-3},
    ]
    labels = list(dict.fromkeys(trial.norm for trial in load(**factors(norm=norms)).trials))
    assert labels == [
        "batchnorm",
        "groupnorm",
        "groupnorm(num_groups=8)",
        "groupnorm(eps=0.001, num_groups=8)",
    ]


def test_a_norm_that_only_spells_out_defaults_is_the_same_level() -> None:
    norms = ["groupnorm", {"name": "groupnorm", "num_groups": 32, "eps": 1.0e-5}]
    assert complaints(**factors(norm=norms)) == [
        "factors.norm[1]: groupnorm with its default options is listed twice"
    ]


def test_how_a_number_is_written_does_not_change_the_trial() -> None:
    def ids(eps: float, lr: float) -> list[str]:
        norm = {"name": "groupnorm", "eps": eps}
        grid = load(**factors(norm=[norm]), train={"epochs": 1, "optimizer": {"lr": lr}})
        return [trial.trial_id for trial in grid.trials]

    assert ids(1, 1) == ids(1.0, 1.0)


def test_nothing_is_a_level_too() -> None:
    grid = load(**factors(**{"data.num_train": [None, 32]}))
    assert {trial.spec.data.num_train for trial in grid.trials} == {None, 32}
    assert len(grid.trials) == 16
