"""Every grid that comes with the program: that it runs, and that it says what the papers print."""

from __future__ import annotations

import dataclasses
from functools import cache
from pathlib import Path

import pandas as pd
import pytest
import torch
import yaml
from cifar_files import write_cifar

import trainables
from analysis import published
from sweep.errors import RefusedError
from sweep.grid.expand import GridTrial
from sweep.grid.model import Grid, load_grid
from sweep.grid.presets import Preset, apply_preset, small_spec
from sweep.planning.added_parameters import added_parameters
from sweep.planning.cost import steps_per_epoch
from trainables import TrialSpec
from trainables.spec import DataSpec

FOLDER = Path(__file__).parents[2] / "grids"
NAMES = sorted(file.stem for file in FOLDER.glob("*.yaml"))
TRAINED = [name for name in NAMES if name != "assocnorm-table4"]
AFFORDABLE = {"resnet101": 2, "allcnn": 5, "nin": 5}
"""Images in a batch of a large network: more take seconds without a GPU."""


@cache
def grid(name: str) -> Grid:
    return load_grid(FOLDER / f"{name}.yaml")


def cost(trial: GridTrial) -> tuple[int, str]:
    return steps_per_epoch(trial) * trial.spec.train.epochs, trial.name


def cheapest_and_costliest(name: str) -> list[TrialSpec]:
    trials = [trial for trial in grid(name).trials if trial.spec.seed == 0]
    return [min(trials, key=cost).spec, max(trials, key=cost).spec]


def test_every_published_table_and_figure_has_a_grid() -> None:
    tables = [f"assocnorm-table{i}" for i in range(1, 6)]
    renorm = ["table2", "table3", "table4", "figure4", "figure5", "figure6"]
    expected = [*tables, "assocnorm-figure5", *(f"renorm-{name}" for name in renorm)]
    assert {*expected, "deconfounded", "quickstart"} <= set(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_a_grid_says_what_it_is(name: str) -> None:
    assert grid(name).name == grid(name).experiment == name
    text = (FOLDER / f"{name}.yaml").read_text()
    assert text.startswith("# ")
    if name.startswith(("assocnorm-", "renorm-")):
        assert "Assumed" in text
        assert "Printed" in text or "-figure" in name


@pytest.mark.parametrize("name", [name for name in NAMES if name.startswith("assocnorm-table")])
def test_the_protocol_is_the_printed_one(name: str) -> None:
    settings = published.protocol("assocnorm").printed
    for trial in grid(name).trials if name != "assocnorm-table4" else ():
        spec, train = trial.spec, trial.spec.train
        found = {
            "model.name": spec.model.name,
            "train.epochs": train.epochs,
            "train.optimizer.lr": train.optimizer.lr,
            "train.schedule.milestones": list(train.schedule.milestones),
            "train.schedule.gamma": train.schedule.gamma,
            "train.optimizer.momentum": train.optimizer.momentum,
            "train.optimizer.weight_decay": train.optimizer.weight_decay,
            "train.lr_scaling": train.lr_scaling,
        }
        assert {key: str(value) for key, value in found.items()} == dict(settings)


def test_every_printed_error_has_its_cell() -> None:
    cells = {
        (spec.data.name, spec.model.name, published.printed_norm(trial.norm), spec.batch_size)
        for name in TRAINED
        for trial in grid(name).trials
        for spec in [trial.spec]
    }
    for item in published.figures():
        assert (item.dataset, item.model, item.norm, item.batch_size) in cells, item


@pytest.mark.parametrize("name", [name for name in TRAINED if name.startswith("renorm-")])
def test_the_protocol_of_the_other_paper_is_the_printed_one(name: str) -> None:
    from analysis.sources.raw_results import flatten_settings
    from trainables.spec import spec_to_dict

    trials = grid(name).trials
    settings = pd.DataFrame([flatten_settings(spec_to_dict(trial.spec)) for trial in trials])
    sizes = pd.Series([trial.spec.batch_size for trial in trials])
    (line,) = published.protocol_lines("renorm_debias", settings, sizes)
    assert line == "Not printed there: train.optimizer.weight_decay (here 0.0)."


def test_the_schedule_depends_on_the_batch_size_as_printed() -> None:
    for trial in grid("renorm-table2").trials:
        expected = (64,) if trial.spec.batch_size == 128 else (26, 52, 78)
        assert trial.spec.train.schedule.milestones == expected


@pytest.mark.parametrize("name", NAMES)
def test_the_cheapest_and_the_costliest_cell_can_be_trained(name: str) -> None:
    for spec in cheapest_and_costliest(name):
        trainables.check(spec)


def test_added_parameters_are_those_of_the_published_table() -> None:
    whole = grid("assocnorm-table4")
    some = [trial for trial in whole.trials if trial.spec.model.name in ("resnet18", "resnet50")]
    printed = yaml.safe_load(published.SOURCE.read_text())["assocnorm"]["table4"]
    ways = ("exact_base", "exact_added_by_group", "exact_added_by_channel")
    found = added_parameters(dataclasses.replace(whole, trials=tuple(some)))
    for model in ("resnet18", "resnet50"):
        place = printed["models"].index(model)
        base, by_group, by_channel = (row for row in found if row.model == model)
        counts = [base.num_parameters, by_group.added, by_channel.added]
        assert counts == [printed[way][place] for way in ways]
        percents = [round(row.percent, 2) for row in (by_group, by_channel)]
        keys = ("key_features_by_group", "key_features_by_channel")
        assert percents == [printed[key][place] for key in keys]


@cache
def trained(spec: TrialSpec, root: Path) -> dict[str, float]:
    trial = trainables.Trial(spec, data_root=root, device="cpu")
    values: dict[str, float] = trial.run_epoch().values()
    return values


def few_steps(spec: TrialSpec) -> TrialSpec:
    """An optimizer step of the full network, at most at an affordable batch size."""
    size = min(spec.batch_size, AFFORDABLE.get(spec.model.name, 64))
    train = dataclasses.replace(spec.train, optimizer_batch_size=None)
    name = "digits" if spec.data.name == "fashion_mnist" else spec.data.name
    data = DataSpec(name=name, augment=spec.data.augment, num_train=size, num_test=2)
    return dataclasses.replace(spec, batch_size=size, train=train, data=data)


@pytest.fixture(scope="module")
def data_root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root: Path = tmp_path_factory.mktemp("data")
    return root


@pytest.fixture(autouse=True, scope="module")
def cifar(data_root: Path) -> object:
    torch.set_num_threads(1)
    with pytest.MonkeyPatch.context() as patch:
        write_cifar(data_root, patch, "cifar10", per_file=2)
        write_cifar(data_root, patch, "cifar100", per_file=10)
        yield


@pytest.mark.parametrize("name", TRAINED)
def test_the_cheapest_and_the_costliest_cell_train(name: str, data_root: Path) -> None:
    for spec in cheapest_and_costliest(name):
        found = trained(few_steps(spec), data_root)
        asked = {"gradient_norm"} & set(spec.train.extra_metrics)
        asked |= {"activation_mean", "activation_variance"} if spec.train.watch else set()
        asked |= {"test_top5_error"} if spec.data.name == "cifar100" else set()
        if spec.norm.name == "batchnorm":
            asked |= {f"test_error_{way}" for way in spec.train.eval_statistics}
        assert asked <= found.keys()


@pytest.mark.parametrize("name", TRAINED)
def test_the_small_edition_trains(name: str, data_root: Path) -> None:
    small = apply_preset(grid(name), Preset.SMALL)
    assert small.name == f"{name}-small"
    assert len(small.trials) == len({trial.name for trial in small.trials})
    for spec in cheapest_and_costliest(name):
        tiny = dataclasses.replace(small_spec(spec).data, num_train=128, num_test=20)
        trained(dataclasses.replace(small_spec(spec), data=tiny), data_root)


@pytest.mark.parametrize("name", TRAINED)
def test_the_small_edition_keeps_the_cells_apart(name: str) -> None:
    small = apply_preset(grid(name), Preset.SMALL)
    cells = {(t.norm, t.variant, t.spec.batch_size) for t in grid(name).trials}
    assert len({(t.norm, t.variant, t.spec.batch_size) for t in small.trials}) == len(cells)


def test_a_table_that_needs_no_training_has_no_small_edition() -> None:
    with pytest.raises(RefusedError, match=r"sweep parameters .*assocnorm-table4\.yaml"):
        apply_preset(grid("assocnorm-table4"), Preset.SMALL)
