from __future__ import annotations

import json
from typing import Any

import pytest
from small_grids import factors, load, make_plan

from sweep.display.json_data import build_plan_data
from sweep.errors import RefusedError
from sweep.grid.preset_changes import DataChoice, ModelChoice, Preset, PresetChanges
from sweep.grid.presets import apply_preset, find_preset_changes
from sweep.grid.variant import Variant
from sweep.records.record import Record, parse_record
from sweep.tracking.tags import run_tags
from trainables.spec import DataSpec

TRAIN: dict[str, Any] = {
    "epochs": 350,
    "optimizer": {"lr": 0.1},
    "schedule": {"name": "multistep", "milestones": [150, 250]},
    "eval_statistics": ["ema", "batch"],
    "threshold": 40.0,
}
LARGE: dict[str, Any] = {
    "data": {"name": "cifar100", "augment": "crop24_flip"},
    "model": {"name": "allcnn", "norm_on_logits": True},
    "train": {**TRAIN, "watch": "activation5"},
}
RESNET: dict[str, Any] = {"model": {"name": "resnet101"}, "train": TRAIN}


def test_the_full_preset_is_the_grid_itself() -> None:
    grid = load(**LARGE)
    assert apply_preset(grid, Preset.FULL) is grid


def test_cells_and_what_is_recorded_stay_and_the_rest_is_small() -> None:
    grid = load(**LARGE, **factors(batch_size=[16, 8], seed=5))
    small = apply_preset(grid, Preset.SMALL)
    cells = {(t.norm, t.spec.batch_size, t.spec.seed) for t in grid.trials if t.spec.seed < 3}
    assert {(t.norm, t.spec.batch_size, t.spec.seed) for t in small.trials} == cells
    for trial in small.trials:
        data, model, train = trial.spec.data, trial.spec.model, trial.spec.train
        assert (data.name, data.num_train, data.num_test) == ("digits", 512, 300)
        assert (model.name, model.width, model.norm_on_logits) == ("allcnn", 16, True)
        assert (train.epochs, train.schedule.milestones) == (10, (4, 7))
        assert (train.eval_statistics, train.threshold) == (("batch", "ema"), 40.0)
        assert train.watch == "activation5"


def test_it_never_mixes_with_the_full_one() -> None:
    grid = load(**LARGE, tracking={"experiment": "paper"})
    small = apply_preset(grid, Preset.SMALL)
    assert (small.name, small.experiment) == ("small-small", "paper-small")
    assert make_plan(small).folder.storage.uri != make_plan(grid).folder.storage.uri
    assert not {t.trial_id for t in small.trials} & {t.trial_id for t in grid.trials}
    assert small.arguments == f"{grid.path} --scale small"
    assert grid.arguments == str(grid.path)


def test_it_says_in_a_sentence_all_that_was_replaced() -> None:
    train = {**TRAIN, "watch": "layer1"}
    data = {"name": "cifar10", "augment": "crop_flip"}
    grid = load(**factors(seed=5), model={"name": "resnet101"}, train=train, data=data)
    small = apply_preset(grid, Preset.SMALL)
    assert str(small.preset) == (
        "small edition: digits (512 training and 300 test images) for cifar10 (50,000 training "
        "and 10,000 test images, crop_flip), resnet8 of width 8 for resnet101, 10 epochs for 350, "
        "learning rate 0.02 for 0.1, groups of the norms in proportion to the width, "
        "no watch of layer1, which there is not, 3 seeds for 5"
    )
    assert find_preset_changes(small, small.trials[0].spec) is small.preset


def test_what_was_replaced_is_data_that_survive_json() -> None:
    train = {**TRAIN, "watch": "layer1"}
    data = {"name": "cifar100", "augment": "crop_flip"}
    grid = load(**factors(seed=5), model={"name": "resnet101"}, train=train, data=data)
    changes = apply_preset(grid, Preset.SMALL).preset
    assert changes is not None
    assert changes.preset is Preset.SMALL
    assert {item.field: (item.full, item.small) for item in changes.replaced} == {
        "data": (
            (DataChoice("cifar100", 50_000, 10_000, "crop_flip"),),
            DataChoice("digits", 512, 300, "none"),
        ),
        "model": ((ModelChoice("resnet101", None),), ModelChoice("resnet8", 8)),
        "train.epochs": ((350,), 10),
        "train.optimizer.lr": ((0.1,), 0.02),
        "norm.num_groups": ((32,), 4),
        "train.watch": (("layer1",), None),
        "seeds": ((5,), 3),
    }
    assert PresetChanges.from_dict(json.loads(json.dumps(changes.to_dict()))) == changes
    assert (changes.title, str(changes)) == ("small edition", f"small edition: {changes.detail}")


def test_the_changes_of_a_trial_reach_its_record_and_its_tags() -> None:
    small = apply_preset(load(**RESNET, data={"name": "cifar10"}), Preset.SMALL)
    trial = small.trials[0]
    record = Record.of(trial.spec)
    record.set_preset(find_preset_changes(small, trial.spec))
    assert parse_record(record.to_json(), "here") == record
    tags = run_tags(record, trial, small.name)
    assert PresetChanges.from_dict(json.loads(tags["sweep.preset"])) == small.preset
    assert tags["sweep.edition"] == record.edition == str(small.preset)
    assert build_plan_data(make_plan(small), 1)["preset"] == small.preset.to_dict()


def test_a_record_of_the_full_grid_has_no_key_for_a_preset() -> None:
    grid = load(data={"name": "digits", "num_train": 64})
    record = Record.of(grid.trials[0].spec)
    record.set_preset(find_preset_changes(grid, grid.trials[0].spec))
    assert record.edition == "64 of 1,437 training images"
    assert "preset" not in json.loads(record.to_json())
    assert "sweep.preset" not in run_tags(record, grid.trials[0], grid.name)


def test_a_grid_that_is_small_already_stays_as_it_is() -> None:
    grid = load()
    small = apply_preset(grid, Preset.SMALL)
    assert small.trials == grid.trials
    assert str(small.preset) == "small edition: the whole grid, which is small enough"


def test_a_grid_with_a_part_of_the_data_says_how_large_a_part() -> None:
    grid = load(data={"name": "fashion_mnist", "num_train": 2000})
    assert str(find_preset_changes(grid, grid.trials[0].spec)) == "2,000 of 60,000 training images"
    both = load(data={"name": "digits", "num_train": 64, "num_test": 32})
    part = "64 of 1,437 training images and 32 of 360 test images"
    assert str(find_preset_changes(both, both.trials[0].spec)) == part
    for whole in (DataSpec(name="digits"), DataSpec(name="digits", num_train=1437)):
        loaded = load(data={"name": whole.name, "num_train": whole.num_train})
        assert find_preset_changes(loaded, loaded.trials[0].spec) is None


def test_a_factor_that_is_left_with_one_level_goes_and_its_trials_are_trained_once() -> None:
    models = factors(**{"model.name": ["resnet18", "resnet50"]})
    small = apply_preset(load(**models, model={}, train=TRAIN), Preset.SMALL)
    assert {trial.spec.model.name for trial in small.trials} == {"resnet8"}
    assert {trial.variant for trial in small.trials} == {Variant()}
    assert len({trial.trial_id for trial in small.trials}) == len(small.trials) == 8
    assert "resnet8 of width 8 for resnet18 and resnet50" in str(small.preset)
    assert "16 trials have become 8 distinct ones" in str(small.preset)


def test_a_factor_shows_the_levels_that_are_trained() -> None:
    widths = factors(**{"model.width": [4, 6, 8, 32], "train.optimizer.lr": [0.05, 0.01]})
    small = apply_preset(load(**widths, model={"name": "resnet8"}), Preset.SMALL)
    for trial in small.trials:
        width, lr = trial.spec.model.width, trial.spec.train.optimizer.lr
        assert str(trial.variant) == f"model.width={width}, train.optimizer.lr={lr}"
    assert {trial.spec.model.width for trial in small.trials} == {4, 6, 8}
    assert len(small.trials) == 2 * 2 * 2 * 3 * 2


def test_factors_over_what_stays_stay() -> None:
    sizes = factors(**{"train.optimizer_batch_size": [None, 64]})
    small = apply_preset(load(**sizes, **RESNET), Preset.SMALL)
    variants = {"train.optimizer_batch_size=null", "train.optimizer_batch_size=64"}
    assert {str(trial.variant) for trial in small.trials} == variants


def test_norms_and_the_reference_are_called_by_the_groups_they_have() -> None:
    norms = ["batchnorm", {"name": "groupnorm", "num_groups": 16}, "groupnorm"]
    grid = load(**factors(norm=norms), **RESNET, reference="groupnorm(num_groups=16)")
    small = apply_preset(grid, Preset.SMALL)
    groups = {t.norm: t.spec.norm.options.get("num_groups") for t in small.trials}
    assert groups == {"batchnorm": None, "groupnorm(num_groups=2)": 2, "groupnorm": 4}
    assert small.reference == "groupnorm(num_groups=2)"


def test_norms_that_become_one_are_trained_once() -> None:
    norms = [{"name": "groupnorm", "num_groups": groups} for groups in (4, 8, 32)]
    grid = load(**factors(norm=norms), **RESNET, reference="groupnorm(num_groups=8)")
    small = apply_preset(grid, Preset.SMALL)
    assert {trial.norm for trial in small.trials} == {
        "groupnorm(num_groups=2)",
        "groupnorm",
    }
    assert small.reference in {trial.norm for trial in small.trials}
    assert len({trial.name for trial in small.trials}) == len(small.trials)


def test_a_grid_that_trains_nothing_has_no_small_preset() -> None:
    grid = load(data={"name": "imagenet"})
    with pytest.raises(RefusedError, match=r"`norm-sweep parameters grid\.yaml`"):
        apply_preset(grid, Preset.SMALL)
