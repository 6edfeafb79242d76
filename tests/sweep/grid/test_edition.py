from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from small_grids import factors, load

from sweep.grid.edition import Scale, scaled
from sweep.plan import make_plan

TRAIN: dict[str, Any] = {
    "epochs": 350,
    "schedule": {"name": "multistep", "milestones": [150, 250]},
    "eval_statistics": ["ema", "batch"],
    "threshold": 40.0,
    "watch": "activation5",
}
LARGE: dict[str, Any] = {
    "data": {"name": "cifar100", "augment": "crop24_flip"},
    "model": {"name": "allcnn", "norm_on_logits": True},
    "train": TRAIN,
}


def test_the_full_edition_is_the_grid_itself() -> None:
    grid = load(**LARGE)
    assert scaled(grid, Scale.FULL) is grid


def test_cells_and_what_is_recorded_stay_and_the_rest_is_small() -> None:
    grid = load(**LARGE, **factors(batch_size=[16, 8], seed=5))
    small = scaled(grid, Scale.SMALL)
    cells = {(t.norm, t.spec.batch_size, t.spec.seed) for t in grid.trials if t.spec.seed < 3}
    assert {(t.norm, t.spec.batch_size, t.spec.seed) for t in small.trials} == cells
    for trial in small.trials:
        data, model, train = trial.spec.data, trial.spec.model, trial.spec.train
        assert (data.name, data.augment) == ("digits", "crop_flip")
        assert (data.num_train or 9999) <= 512
        assert (model.name, model.norm_on_logits) == ("allcnn", True)
        assert (model.width or 96) < 96
        assert (train.epochs, train.schedule.milestones) == (4, (2, 3))
        assert (train.eval_statistics, train.threshold) == (("batch", "ema"), 40.0)
        assert train.watch == "activation5"


def test_it_never_mixes_with_the_full_one() -> None:
    grid = load(**LARGE, tracking={"experiment": "paper"})
    small = scaled(grid, Scale.SMALL)
    assert (small.name, small.experiment) == ("small-small", "paper-small")
    assert small.edition == "small"
    assert make_plan(small).folder.storage.uri != make_plan(grid).folder.storage.uri
    assert not {t.trial_id for t in small.trials} & {t.trial_id for t in grid.trials}
    assert small.arguments == f"{grid.path} --scale small"
    assert grid.arguments == str(grid.path)


def test_models_that_become_one_are_trained_once() -> None:
    models = factors(**{"model.name": ["resnet18", "resnet50"]})
    train = {**TRAIN, "watch": "layer1"}
    small = scaled(load(**models, model={}, train=train), Scale.SMALL)
    assert {trial.spec.model.name for trial in small.trials} == {"resnet8"}
    assert len({trial.trial_id for trial in small.trials}) == len(small.trials) == 8
    assert {trial.spec.train.watch for trial in small.trials} == {None}


@given(epochs=st.integers(1, 400), data=st.data())
def test_milestones_keep_their_order_and_begin_after_an_epoch(
    epochs: int, data: st.DataObject, tmp_path_factory: pytest.TempPathFactory
) -> None:
    every = st.lists(st.integers(1, epochs), min_size=1, max_size=4, unique=True)
    schedule = {"name": "multistep", "milestones": sorted(data.draw(every))}
    file = tmp_path_factory.getbasetemp() / "milestones.yaml"
    grid = load(file, train={"epochs": epochs, "schedule": schedule}, **factors(seed=1))
    for trial in scaled(grid, Scale.SMALL).trials:
        train = trial.spec.train
        milestones = list(train.schedule.milestones)
        assert milestones == sorted(set(milestones))
        assert train.epochs <= min(epochs, 4)
        assert all(1 <= milestone <= train.epochs for milestone in milestones)
