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
from sweep.grid.meanings import MEANINGS
from sweep.grid.model import load_grid
from sweep.grid.reference import FURTHER, SECTIONS, reference
from sweep.grid.schema import EDITOR_HINT, fields, schema

ROOT = Path(__file__).parents[3]
GRIDS = sorted((ROOT / "grids").glob("*.yaml"))


def complaints(grid: Any) -> list[str]:
    return [error.message for error in Draft202012Validator(schema()).iter_errors(grid)]


def test_it_is_a_schema() -> None:
    Draft202012Validator.check_schema(schema())


@pytest.mark.parametrize("path", GRIDS, ids=lambda path: path.stem)
def test_shipped_grids_hold_to_it_and_point_to_it(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert complaints(yaml.safe_load(text)) == []
    assert text.startswith(f"{EDITOR_HINT}grid.schema.json\n")


def test_the_shipped_files_are_of_today() -> None:
    """`norm-sweep schema` writes one, `--markdown` the other."""
    assert json.loads((ROOT / "grids/grid.schema.json").read_text(encoding="utf-8")) == schema()
    assert (ROOT / "docs/grid.md").read_text(encoding="utf-8").rstrip() == reference().rstrip()


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


def test_every_field_has_a_meaning_and_no_other_has() -> None:
    sections = {name for name in SECTIONS if name}
    assert set(fields()) - set(MEANINGS) == set()
    assert set(MEANINGS) - set(fields()) <= sections | {FURTHER}
