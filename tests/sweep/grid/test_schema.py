"""The schema that editors are given, held to what `load_grid` accepts and refuses."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from jsonschema import Draft202012Validator
from small_grids import SMALL, write

from sweep.errors import GridError
from sweep.grid.layout import (
    MAX_LOOKED_AT_SEEDS,
    MAX_SEEDS,
    MIN_FIRST_SEEDS,
    FactorsSection,
    Layout,
    Override,
    Resources,
    Tracking,
)
from sweep.grid.model import load_grid
from sweep.grid.reference import format_reference
from sweep.grid.schema import EDITOR_HINT, list_fields, make_schema
from trainables.spec import MAX_EPOCHS

ROOT = Path(__file__).parents[3]
GRIDS = sorted((ROOT / "grids").glob("*.yaml"))


def complaints(grid: Any) -> list[str]:
    return [error.message for error in Draft202012Validator(make_schema()).iter_errors(grid)]


def test_it_is_a_schema() -> None:
    Draft202012Validator.check_schema(make_schema())


@pytest.mark.parametrize("path", GRIDS, ids=lambda path: path.stem)
def test_shipped_grids_hold_to_it_and_point_to_it(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert complaints(yaml.safe_load(text)) == []
    assert text.startswith(f"{EDITOR_HINT}grid.schema.json\n")


def test_the_shipped_files_are_of_today() -> None:
    """`norm-sweep schema` writes one, `--markdown` the other."""
    schema = json.loads((ROOT / "grids/grid.schema.json").read_text(encoding="utf-8"))
    page = (ROOT / "docs/grid.md").read_text(encoding="utf-8")
    assert (schema, page.rstrip()) == (make_schema(), format_reference().rstrip())


@pytest.mark.parametrize(
    "changes",
    [
        {"train": {"epochs": 0}},
        {"train": {"epochs": 3, "optimiser": {}}},
        {"train": {"epochs": 3, "schedule": {"name": "step"}}},
        {"data": {"name": "digits", "augment": "flip"}},
        {"model": {"name": "resnet8", "width": 0}},
        {"factors": {"norm": ["batchnorm"], "batch_size": [0], "seed": 2}},
        {"factors": {"norm": ["batchnorm"], "batch_size": 4, "seed": 2}},
        {"resources": {"seeds_per_trainable": "many"}},
        {"infeasible": "ignore"},
        {"exclude": "batchnorm"},
        {"colour": "blue"},
        {"name": "../elsewhere"},
        {"resources": {"gpu": -0.5}},
        {"factors": {"norm": ["batchnrom"], "batch_size": [4], "seed": 2}},
        {"factors": {"norm": ["batchnorm"], "batch_size": [4, 4], "seed": 2}},
        {"factors": {"norm": ["batchnorm"], "batch_size": [4], "seed": 10_001}},
        {"factors": {"norm": ["batchnorm"], "batch_size": [4], "seed": 2, "train.lr": [1, 2]}},
        {"exclude": [{"norms": "groupnorm"}]},
        {"overrides": [{"when": {"size": 4}, "set": {"train.epochs": 2}}]},
        {"overrides": [{"when": {"batch_size": 4}, "set": {"epochs": 2}}]},
    ],
    ids=json.dumps,
)
def test_what_it_refuses_is_refused(changes: dict[str, Any]) -> None:
    assert complaints({**SMALL, **changes})
    with pytest.raises(GridError):
        load_grid(write(**changes))


def test_the_small_grid_is_accepted() -> None:
    assert complaints(SMALL) == []


def test_every_field_is_described() -> None:
    schema = make_schema()
    found = list_fields(schema)
    assert {"name", "factors.seed", "data.root", "train.optimizer.lr", "overrides.set"} <= set(
        found
    )
    assert [name for name, field in found.items() if not field.get("description")] == []
    assert schema["properties"]["factors"]["additionalProperties"]["description"]


def test_bounds_come_from_the_classes_that_check() -> None:
    found = list_fields(make_schema())
    assert found["train.epochs"]["maximum"] == MAX_EPOCHS
    seeds, listed, _ = found["factors.seed"]["anyOf"]
    assert (seeds["minimum"], seeds["maximum"]) == (1, MAX_SEEDS)
    assert listed["items"] == {"type": "integer", "minimum": 0, "maximum": 2**63 - 1}
    assert found["factors.seed.from"]["minimum"] == MIN_FIRST_SEEDS
    assert found["factors.seed.to"]["maximum"] == MAX_LOOKED_AT_SEEDS


def test_a_section_says_in_its_docstring_what_its_fields_mean() -> None:
    for section in (Layout, Resources, Tracking, FactorsSection, Override):
        for name, field in section.model_fields.items():
            assert not field.description or f"    {name}: {field.description}" in section.__doc__
