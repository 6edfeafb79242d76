"""What a trial's id covers: all that decides the result, and nothing else."""

from __future__ import annotations

import copy
import dataclasses
import hashlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from sweep.grid.model import load_grid
from trainables.spec import (
    DataSpec,
    ModelSpec,
    NormSpec,
    OptimizerSpec,
    ScheduleSpec,
    Spec,
    TrainSpec,
    TrialSpec,
    spec_from_dict,
    spec_to_dict,
)

QUICKSTART = """
name: quickstart
factors:
  norm: [batchnorm, {name: groupnorm, num_groups: 8}, {name: assocnorm, num_groups: 8}]
  batch_size: [64, 16, 4, 2]
  seed: 3
data: {name: digits}
model: {name: resnet8}
train:
  epochs: 3
  optimizer: {name: sgd, lr: 0.05, momentum: 0.9}
  schedule: {name: cosine}
  lr_scaling: none
"""

# Users' records and MLflow runs are found by these ids. If one of them changes, because of a new
# field, a new default or another way to hash, everybody's finished trials are orphaned and train
# again. Let an absent new field mean what it meant before, or raise SPEC_VERSION on purpose.
# Those under `per_seed` are the ids of all trials from before there was `seeding`.
PINNED = {
    "per_seed": {
        "batchnorm-bs064-s0": "0c77a18eb551",
        "groupnorm-bs064-s0": "d04c2b7a6613",
        "assocnorm-bs064-s0": "918783d3b335",
    },
    "per_cell": {
        "batchnorm-bs064-s0": "933e2f10e862",
        "groupnorm-bs064-s0": "bc9fa7919b49",
        "assocnorm-bs064-s0": "845dfa88bfc8",
    },
}


def ids(grid: dict[str, Any], folder: Path) -> dict[str, str]:
    file = folder / "grid.yaml"
    file.write_text(yaml.safe_dump(grid, sort_keys=False))
    return {trial.name: trial.trial_id for trial in load_grid(file).trials}


@pytest.fixture
def quickstart() -> dict[str, Any]:
    grid: dict[str, Any] = yaml.safe_load(QUICKSTART)
    return grid


@pytest.mark.parametrize("seeding", list(PINNED))
def test_ids_are_pinned(seeding: str, quickstart: dict[str, Any], tmp_path: Path) -> None:
    found = ids({**quickstart, "seeding": seeding}, tmp_path)
    assert {name: found[name] for name in PINNED[seeding]} == PINNED[seeding]
    assert len(set(found.values())) == len(found) == 36


def test_a_grid_without_seeding_has_streams_per_cell(
    quickstart: dict[str, Any], tmp_path: Path
) -> None:
    assert ids(quickstart, tmp_path) == ids({**quickstart, "seeding": "per_cell"}, tmp_path)


def test_an_id_can_be_computed_from_a_record_by_anybody(
    quickstart: dict[str, Any], tmp_path: Path
) -> None:
    file = tmp_path / "grid.yaml"
    file.write_text(yaml.safe_dump(quickstart))
    trial = load_grid(file).trials[0]
    payload = {**json.loads(json.dumps(spec_to_dict(trial.spec))), "spec_version": 1}
    text = json.dumps(payload, sort_keys=True, separators=(",", ":"))
    assert hashlib.sha256(text.encode()).hexdigest()[:12] == trial.trial_id


def test_a_norm_s_option_added_later_is_part_of_the_id_where_it_is_not_the_default(
    quickstart: dict[str, Any], tmp_path: Path
) -> None:
    found = {}
    for encoder_init in ("normal", "first_positive"):
        norm = {"name": "assocnorm", "num_groups": 8, "encoder_init": encoder_init}
        grid = {**quickstart, "factors": {**quickstart["factors"], "norm": [norm]}}
        found[encoder_init] = ids(grid, tmp_path)["assocnorm-bs064-s0"]
    assert found["normal"] == PINNED["per_cell"]["assocnorm-bs064-s0"]
    assert found["first_positive"] != found["normal"]


@pytest.mark.parametrize(
    "changes",
    [
        {"name": "another-sweep"},
        {"storage": "s3://bucket/runs"},
        {"resources": {"cpu": 4, "gpu": 0.5}},
        {"tracking": {"experiment": "elsewhere"}},
        {"reference": "batchnorm"},
        {"infeasible": "skip"},
        {"data": {"name": "digits", "root": "/mnt/data"}},
        {"overrides": [{"when": {}, "set": {"train.epochs": 3}}]},
        {"data": {"name": "digits", "augment": "none", "num_train": None}},
    ],
)
def test_what_decides_no_result_changes_no_id(
    changes: dict[str, Any], quickstart: dict[str, Any], tmp_path: Path
) -> None:
    assert ids({**quickstart, **changes}, tmp_path) == ids(quickstart, tmp_path)


SPEC = TrialSpec(
    norm=NormSpec(name="groupnorm", options={"num_groups": 8}),
    batch_size=4,
    seed=1,
    data=DataSpec(name="digits"),
    model=ModelSpec(name="resnet8"),
    train=TrainSpec(epochs=3),
)


def leaves(spec: Spec, path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """Every field at any depth: a field added later is walked too."""
    for field in dataclasses.fields(spec):
        value = getattr(spec, field.name)
        if isinstance(value, Spec):
            yield from leaves(value, (*path, field.name))
        else:
            yield (*path, field.name)


def another(value: Any) -> Any:
    match value:
        case bool():
            return not value
        case int() | float():
            return value + 1
        case str():
            return f"{value}x"
        case None:
            return 7
        case tuple():
            return (*value, 7)
    return {**value, "another": 1}


def changed(spec: Any, path: tuple[str, ...]) -> Any:
    """A copy with one field changed, also to a value that making a spec would refuse."""
    name, *below = path
    value = getattr(spec, name)
    new = changed(value, tuple(below)) if below else another(value)
    copied = copy.copy(spec)
    object.__setattr__(copied, name, new)
    return copied


@pytest.mark.parametrize("path", list(leaves(SPEC)), ids=".".join)
def test_every_field_is_part_of_the_id(path: tuple[str, ...]) -> None:
    assert changed(SPEC, path).trial_id != SPEC.trial_id


def test_all_the_fields_were_walked() -> None:
    found = {".".join(path) for path in leaves(SPEC)}
    assert {"seed", "norm.options", "train.optimizer.lr", "train.schedule.milestones"} <= found
    assert len({changed(SPEC, path).trial_id for path in leaves(SPEC)}) == len(found)


NAMES = st.text(max_size=10)
COUNTS = st.integers(1, 10**9)
FLOATS = st.floats(allow_nan=False, allow_infinity=False)
POSITIVE = st.floats(min_value=0, exclude_min=True, allow_infinity=False)
SHARES = st.floats(min_value=0, max_value=1, exclude_max=True)
OPTIONS = st.dictionaries(
    NAMES, st.none() | st.booleans() | st.integers() | FLOATS | NAMES, max_size=4
)
SPECS = st.builds(
    TrialSpec,
    norm=st.builds(NormSpec, name=NAMES, options=OPTIONS),
    batch_size=COUNTS,
    seed=st.integers(0, 2**63 - 1),
    data=st.builds(
        DataSpec,
        name=NAMES,
        augment=st.sampled_from(["none", "crop_flip"]),
        num_train=st.none() | COUNTS,
        num_test=st.none() | COUNTS,
    ),
    model=st.builds(ModelSpec, name=NAMES, stem=st.just("imagenet"), width=st.none() | COUNTS),
    train=st.builds(
        TrainSpec,
        epochs=st.integers(1, 1_000_000),
        optimizer=st.builds(
            OptimizerSpec,
            lr=POSITIVE,
            momentum=SHARES,
            nesterov=st.booleans(),
            weight_decay=st.just(0.0) | POSITIVE,
        ),
        schedule=st.builds(
            ScheduleSpec,
            name=st.sampled_from(["constant", "multistep", "cosine"]),
            milestones=st.lists(COUNTS, max_size=4).map(tuple),
            gamma=st.floats(min_value=0, max_value=1, exclude_min=True),
        ),
        lr_scaling=st.sampled_from(["none", "linear", "sqrt"]),
        reference_batch_size=st.none() | COUNTS,
    ),
    seeding=st.sampled_from(["per_cell", "per_seed"]),
)


@given(spec=SPECS)
def test_a_spec_comes_back_from_its_dictionary(spec: TrialSpec) -> None:
    through_json = json.loads(json.dumps(spec_to_dict(spec)))
    for restored in (spec_from_dict(spec_to_dict(spec)), spec_from_dict(through_json)):
        assert restored == spec
        assert restored.trial_id == spec.trial_id
        assert hash(restored) == hash(spec)


@given(one=SPECS, other=SPECS)
def test_ids_are_the_same_exactly_if_the_specs_are(one: TrialSpec, other: TrialSpec) -> None:
    same = json.dumps(spec_to_dict(one), sort_keys=True) == json.dumps(
        spec_to_dict(other), sort_keys=True
    )
    assert (one.trial_id == other.trial_id) is same
