"""Every name that the schema, the documentation or a hint offers can be trained."""

from __future__ import annotations

from typing import Any

import pytest
from small_grids import SMALL, factors, load, write

import normmods
from sweep.errors import GridError
from sweep.grid.model import load_grid
from sweep.grid.schema import make_schema
from sweep.grid.trainable_data import require_trainable
from sweep.planning.feasibility import check_feasibility
from trainables.data.catalog import TRAINABLE
from trainables.models.catalog import MODELS

SECTIONS = make_schema()["properties"]
ONE = factors(norm=["groupnorm"], batch_size=[8], seed=1)["factors"]
CIFAR = {"data": {"name": "cifar10"}, "model": {"name": "resnet18"}}
WITH: dict[str, dict[str, Any]] = {
    "train.schedule.name=multistep": {"train.schedule.milestones": [1]},
    "train.lr_scaling=linear": {"train.reference_batch_size": 8},
    "train.lr_scaling=sqrt": {"train.reference_batch_size": 8},
}


def enums(part: dict[str, Any], name: str) -> list[tuple[str, Any]]:
    """Each field with each of the values that the schema lists for it."""
    if "properties" in part:
        below = [enums(item, f"{name}.{key}") for key, item in part["properties"].items()]
        return [pair for pairs in below for pair in pairs]
    values = part.get("enum", [part["const"]] if "const" in part else [])
    if part.get("type") == "array":
        return [(name, [value]) for value in part["items"].get("enum", [])]
    return [(name, value) for value in values]


OFFERED = [pair for name in ("data", "model", "train") for pair in enums(SECTIONS[name], name)]


def test_the_schema_offers_something() -> None:
    """Else the test below would hold of nothing."""
    assert {"data.augment", "train.schedule.name", "train.precision"} <= {n for n, _ in OFFERED}


@pytest.mark.parametrize(("name", "value"), OFFERED, ids=str)
def test_every_value_that_the_schema_lists(name: str, value: Any) -> None:
    changes = {name: value, **WITH.get(f"{name}={value}", {})}
    override = {"when": {"batch_size": 8}, "set": changes}
    sections = CIFAR if name in ("data.augment", "model.stem") else {}
    grid = load(factors=ONE, overrides=[override], **sections)
    assert len(check_feasibility(grid).trials) == 1


@pytest.mark.parametrize("norm", normmods.names())
def test_every_norm(norm: str) -> None:
    grid = load(factors={**ONE, "norm": [norm]})
    assert len(check_feasibility(grid).trials) == 1


@pytest.mark.parametrize("model", MODELS)
def test_every_model(model: str) -> None:
    grid = load(factors=ONE, **{**CIFAR, "model": {"name": model}})
    assert len(check_feasibility(grid).trials) == 1


@pytest.mark.parametrize("data", TRAINABLE)
def test_every_data_set(data: str) -> None:
    grid = load(factors=ONE, data={"name": data})
    require_trainable(grid)
    assert len(check_feasibility(grid).trials) == 1


def test_a_hint_offers_no_data_set_that_cannot_be_trained_on() -> None:
    for name in ("imagenet1k", "xyz"):
        with pytest.raises(GridError) as refused:
            load_grid(write(**{**SMALL, "data": {"name": name}}))
        assert "imagenet'?" not in str(refused.value)
        assert ", imagenet" not in str(refused.value)
