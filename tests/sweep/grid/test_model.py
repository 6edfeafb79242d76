from __future__ import annotations

import pickle
import sys
from pathlib import Path
from typing import Any

import pytest
from small_grids import FACTORS, complaints, load, write

import sweep
from sweep.errors import GridError
from sweep.grid.model import load_grid


def test_a_grid_has_defaults_for_all_that_is_no_science() -> None:
    grid = load()
    assert (grid.name, grid.experiment, grid.storage) == ("small", "small", "runs")
    assert (grid.resources.cpu, grid.resources.gpu) == (1, "auto")
    assert (grid.reference, grid.data_root, grid.skip_infeasible) == (None, None, False)
    assert len(grid.trials) == 8
    assert pickle.loads(pickle.dumps(grid)) == grid


def test_what_is_stated_is_taken() -> None:
    grid = load(
        resources={"cpu": 0.5, "gpu": 0.25},
        tracking={"experiment": "Group norm, 'small' batches"},
        storage="s3://bucket/runs",
        reference="groupnorm",
        infeasible="skip",
        data={"name": "digits", "root": "~/sets"},
    )
    assert (grid.resources.cpu, grid.resources.gpu) == (0.5, 0.25)
    assert grid.experiment == "Group norm, 'small' batches"
    assert (grid.storage, grid.reference, grid.skip_infeasible) == (
        "s3://bucket/runs",
        "groupnorm",
        True,
    )
    assert grid.data_root == str(Path.home() / "sets")


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"trian": {}}, "trian: unknown key; did you mean 'train'?"),
        ({"name": None}, "name: is required and missing"),
        ({"name": 3}, "name: expected a text, found 3"),
        ({"name": "../up"}, "name: expected letters, digits, '.', '_' and '-' (it names a folder"),
        ({"name": ".hidden"}, "name: expected letters, digits"),
        ({"name": "a" * 101}, "name: expected letters, digits"),
        ({"data": [1]}, "data: expected a mapping, found a list of 1"),
        ({"data": {}}, "data.name: is required and missing"),
        ({"data": {"name": 3}}, "data.name: expected a text, found 3"),
        ({"data": {"name": "digitz"}}, "data.name: unknown data set 'digitz'; did you mean 'digi"),
        ({"data": {"name": "digits", "root": 3}}, "data.root: expected a folder's path, found 3"),
        ({"data": {"name": "digits", "root": ""}}, "data.root: expected a folder's path, found ''"),
        ({"data": {"name": "digits", "num_test": 0}}, "data.num_test: expected a number >= 1, fou"),
        ({"model": None}, "model: is required and missing"),
        ({"model": "resnet8"}, "model: expected a mapping, found 'resnet8'"),
        ({"model": {"name": "resnet9"}}, "model.name: unknown model 'resnet9'; did you mean"),
        (
            {"model": {"name": "resnet18", "stem": "x"}},
            "model.stem: expected 'cifar' or 'imagenet'",
        ),
        ({"train": {"epochs": 0}}, "train.epochs: expected a number >= 1, found 0"),
        ({"train": {"epochs": 2.5}}, "train.epochs: expected a whole number, found 2.5"),
        ({"train": {"epochs": "two"}}, "train.epochs: expected a whole number, found 'two'"),
        ({"train": {"epochs": True}}, "train.epochs: expected a whole number, found true"),
        (
            {"train": {"epochs": 1, "optimiser": {}}},
            "train.optimiser: unknown key; did you mean 'o",
        ),
        (
            {"train": {"epochs": 1, "optimizer": {"lr": 0}}},
            "train.optimizer.lr: expected a number ",
        ),
        ({"train": {"epochs": 1, "optimizer": {"lr": float("inf")}}}, "train.optimizer.lr: expect"),
        ({"train": {"epochs": 1, "optimizer": {"momentum": 1}}}, "train.optimizer.momentum: expec"),
        ({"train": {"epochs": 1, "optimizer": {"nesterov": "no"}}}, "train.optimizer.nesterov: ex"),
        ({"train": {"epochs": 1, "schedule": {"name": "step"}}}, "train.schedule.name: expected '"),
        ({"train": {"epochs": 1, "schedule": {"milestones": 3}}}, "train.schedule.milestones: exp"),
        ({"overrides": {"when": {}}}, "overrides: expected a list, found a mapping"),
        ({"overrides": [{"when": {"batch_size": 8}}]}, "overrides[0].set: is required and missing"),
        ({"overrides": [{"when": 8, "set": {}}]}, "overrides[0].when: expected a mapping, found 8"),
        ({"exclude": ["batchnorm"]}, "exclude[0]: expected a mapping, found 'batchnorm'"),
        ({"resources": {"cpus": 1}}, "resources.cpus: unknown key; did you mean 'cpu'?"),
        ({"resources": {"cpu": 0}}, "resources.cpu: expected a number > 0, found 0"),
        ({"resources": {"gpu": -1}}, "resources.gpu: expected a number >= 0 or 'auto', found -1"),
        (
            {"resources": {"compile": "yes"}},
            "resources.compile: expected true, false or 'auto', found 'yes'",
        ),
        ({"resources": {"compile": 1}}, "resources.compile: expected true, false or 'auto', found"),
        (
            {"resources": {"seeds_per_trainable": "many"}},
            "resources.seeds_per_trainable: expected a whole number >= 1 or 'auto', found 'many'",
        ),
        (
            {"resources": {"seeds_per_trainable": 0}},
            "resources.seeds_per_trainable: expected a whole number >= 1 or 'auto', found 0",
        ),
        (
            {"resources": {"gpu": True}},
            "resources.gpu: expected a number >= 0 or 'auto', found tru",
        ),
        (
            {"resources": {"gpu": float("inf")}},
            "resources.gpu: expected a number >= 0 or 'auto', f",
        ),
        ({"resources": {"cuda_graphs": True}}, "resources.cuda_graphs: expected 'auto' or false, "),
        ({"resources": {"gpu": "all"}}, "resources.gpu: expected a number >= 0 or 'auto', found '"),
        ({"tracking": {"log_models": "no"}}, "tracking.log_models: expected true or false"),
        ({"tracking": {"experiment": ""}}, "tracking.experiment: expected a text that is not empt"),
        ({"storage": ""}, "storage: expected a text that is not empty, found ''"),
        ({"storage": "x" * 300}, "storage: expected a path whose parts have at most 255 bytes ea"),
        ({"storage": "/é" * 600}, "storage: expected a path of at most 1024 bytes, found '/é/é/é"),
        (
            {"data": {"name": "digits", "root": "/data/" + "é" * 150}},
            "data.root: expected a path whose parts have at most 255 bytes each, found '/data/é",
        ),
        ({"name": "x" * 300}, "name: expected letters, digits, '.', '_' and '-' (it names a fold"),
        ({"reference": "bachnorm"}, "reference: expected one of the norms (batchnorm, groupnorm),"),
        ({"infeasible": "ignore"}, "infeasible: expected 'refuse' or 'skip', found 'ignore'"),
    ],
)
def test_a_wrong_section_is_one_complaint(changes: dict[str, Any], expected: str) -> None:
    (complaint,) = complaints(**changes)
    assert complaint.startswith(expected)


@pytest.mark.parametrize("text", ["- 1\n", "just a text\n", "", "3\n"])
def test_what_is_no_mapping_is_no_grid(text: str) -> None:
    Path("grid.yaml").write_text(text)
    with pytest.raises(GridError, match=r"grid\.yaml.*: expected a mapping, found ") as caught:
        load_grid("grid.yaml")
    assert len(caught.value.messages) == 1


def test_everything_wrong_is_said_at_once_in_the_order_of_the_lines() -> None:
    text = """\
nam: several
name: several
factors:
  norm: [bachnorm, {name: groupnorm, groups: 2}]
  batch_size: [0]
  seed: 2
data: {name: digitz}
model: {name: resnet8}
model: {name: resnet8}
train:
  epochs: many
  optimizer:
    lrr: 0.1
reference: 3
"""
    Path("grid.yaml").write_text(text)
    with pytest.raises(GridError) as caught:
        load_grid("grid.yaml")
    places = [(problem.line, problem.where) for problem in caught.value.problems]
    assert places == [
        (1, "nam"),
        (4, "factors.norm[0]"),
        (4, "factors.norm[1].groups"),
        (5, "factors.batch_size[0]"),
        (7, "data.name"),
        (9, "model"),
        (11, "train.epochs"),
        (13, "train.optimizer.lrr"),
        (14, "reference"),
    ]
    assert caught.value.messages[1].startswith("grid.yaml:4: factors.norm[0]: there is no norm")


def test_a_mistyped_norm_is_not_also_a_wrong_reference() -> None:
    found = complaints(
        factors={**FACTORS, "norm": ["bachnorm", "groupnorm"]}, reference="batchnorm"
    )
    assert [complaint.split(":")[0] for complaint in found] == ["factors.norm[0]"]


def test_a_reference_that_no_norm_can_be_is_named_with_the_mistakes_of_norms() -> None:
    norms = {**FACTORS, "norm": ["bachnorm", "groupnorm"]}
    of_norm, of_reference = complaints(factors=norms, reference="batch_norm")
    assert of_norm.startswith("factors.norm[0]: there is no norm 'bachnorm'")
    assert of_reference == (
        "reference: expected a norm of factors.norm, found 'batch_norm'; did you mean 'batchnorm'?"
    )
    (alone,) = complaints(factors=norms, reference="bachnorm")
    assert alone == of_norm


def test_a_large_grid_is_read_in_seconds() -> None:
    names = ["batchnorm", "groupnorm", "instancenorm", "layernorm", "assocnorm"]
    further = {"train.optimizer.lr": [0.1, 0.2, 0.3, 0.4]}
    factors = {"norm": names, "batch_size": [2**i for i in range(6)], "seed": 20, **further}
    assert len(load(factors=factors).trials) == 2400


def test_reading_twice_does_not_lengthen_the_import_path() -> None:
    Path("below").mkdir()
    load_grid(write("below/grid.yaml"))
    once = sys.path[:]
    grid = load_grid("below/grid.yaml")
    assert sys.path == once
    assert grid.import_paths == (str(Path.cwd()), str(Path.cwd() / "below"))


def test_the_template_is_a_grid_even_with_every_comment_put_to_use() -> None:
    template = (Path(sweep.__file__).parent / "template.yaml").read_text()
    Path("grid.yaml").write_text(template)
    assert len(load_grid("grid.yaml").trials) == 27
    rules = template.replace("# overrides", "overrides").replace("# exclude", "exclude")
    lines = [line.replace("#  ", "   ", 1) if line.startswith("#   ") else line
             for line in rules.splitlines()]  # fmt: skip
    lines = [line.replace("# train.optimizer.lr", "train.optimizer.lr") for line in lines]
    Path("grid.yaml").write_text("\n".join(lines[0:1] + lines[3:]))
    trials = load_grid("grid.yaml").trials
    assert len(trials) == 2 * (27 - 3)
    assert {t.spec.train.epochs for t in trials if t.spec.batch_size == 4} == {3}
