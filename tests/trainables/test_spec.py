import dataclasses
import json
import math
import pickle
import re
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import pytest

from trainables.spec import (
    MAX_EPOCHS,
    DataSpec,
    Dimensions,
    ModelSpec,
    NormSpec,
    OptimizerSpec,
    ScheduleSpec,
    TrainSpec,
    TrialSpec,
    spec_from_dict,
    spec_to_dict,
)
from trainables.spec_class import ADDED_LATER

SPEC = TrialSpec(
    norm=NormSpec(name="groupnorm", options={"num_groups": 8}),
    batch_size=4,
    seed=1,
    data=DataSpec(name="digits"),
    model=ModelSpec(name="resnet8", width=16),
    train=TrainSpec(
        epochs=3,
        optimizer=OptimizerSpec(lr=0.05),
        schedule=ScheduleSpec(name="multistep", milestones=(2,)),
    ),
)


def test_trial_id_is_pinned() -> None:
    # Records on disk are found by this. A change makes every finished trial run again.
    assert SPEC.trial_id == "b611aac9a3f4"


def test_dictionaries_survive_json_and_keep_the_identity() -> None:
    restored = spec_from_dict(json.loads(json.dumps(spec_to_dict(SPEC))))
    assert restored == SPEC
    assert restored.trial_id == SPEC.trial_id
    assert hash(restored) == hash(SPEC)


def test_pickle_keeps_the_spec() -> None:
    assert pickle.loads(pickle.dumps(SPEC)) == SPEC


@pytest.mark.parametrize(
    "changes",
    [
        {"batch_size": 2},
        {"seed": 2},
        {"norm": NormSpec(name="groupnorm")},
        {"norm": NormSpec(name="groupnorm", options={"num_groups": 4})},
        {"data": DataSpec(name="digits", num_train=100)},
        {"model": ModelSpec(name="resnet8", width=8)},
        {"train": dataclasses.replace(SPEC.train, lr_scaling="linear")},
        {"train": dataclasses.replace(SPEC.train, optimizer=OptimizerSpec(lr=0.1))},
    ],
)
def test_every_change_is_another_trial(changes: dict[str, Any]) -> None:
    assert dataclasses.replace(SPEC, **changes).trial_id != SPEC.trial_id


def test_a_field_added_later_counts_once_it_leaves_its_default() -> None:
    def later(spec: Any) -> list[str]:
        return [f.name for f in dataclasses.fields(spec) if f.metadata == ADDED_LATER]

    assert later(SPEC.model) == ["norm_on_logits", "dropout", "initial_weights", "options"]
    assert later(SPEC.data) == ["options", "digest"]
    assert not set(later(SPEC.train)) & set(spec_to_dict(SPEC)["train"])
    values = {
        "optimizer_batch_size": 8,
        "eval_batch_size": 8,
        "eval_statistics": ("ema",),
        "threshold": 5.0,
        "watch": "conv1",
        "extra_metrics": ("gradient_norm",),
        "deterministic": True,
        "precision": "bfloat16",
        "channels_last": True,
    }
    assert list(values) == later(SPEC.train)
    ids = {SPEC.trial_id}
    for name, value in values.items():
        train = dataclasses.replace(SPEC.train, **{name: value})
        changed = dataclasses.replace(SPEC, train=train)
        assert spec_from_dict(json.loads(json.dumps(spec_to_dict(changed)))) == changed
        ids.add(changed.trial_id)
    assert len(ids) == 1 + len(values)


def test_what_is_recorded_has_no_order() -> None:
    one, other = (
        dataclasses.replace(SPEC.train, eval_statistics=ways)
        for ways in (("ema", "batch"), ("batch", "ema", "batch"))
    )
    assert one == other


def test_options_cannot_change_after_construction() -> None:
    options = {"num_groups": 8}
    norm = NormSpec(name="groupnorm", options=options)
    options["num_groups"] = 4
    assert norm.options == {"num_groups": 8}
    with pytest.raises(TypeError):
        norm.options["num_groups"] = 4  # type: ignore[index]


@pytest.mark.parametrize("broken", [{"batch_sizes": 4}, {"norm": {"nam": "groupnorm"}}])
def test_unknown_keys_are_refused(broken: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="not a trial spec"):
        spec_from_dict({**spec_to_dict(SPEC), **broken} if "norm" in broken else broken)


@pytest.mark.parametrize(
    ("make", "expected"),
    [
        (lambda: dataclasses.replace(SPEC, batch_size=0), "batch_size\n  Input should be greater"),
        (lambda: dataclasses.replace(SPEC, seed=-1), "seed\n  Input should be greater"),
        (lambda: DataSpec(name="digits", num_train=0), "num_train\n  Input should be greater"),
        (lambda: DataSpec(name="digits", augment="crop"), "augment\n  Input should be 'none', "),
        (lambda: ModelSpec(name="resnet8", width=-2), "width\n  Input should be greater than or"),
        (lambda: OptimizerSpec(lr=math.nan), "lr\n  Input should be"),
        (lambda: OptimizerSpec(lr="0.1"), "lr\n  Input should be a valid number"),
        (lambda: OptimizerSpec(momentum=1.0), "momentum\n  Input should be less than 1"),
        (lambda: ScheduleSpec(milestones=(3, 0)), "milestones.1\n  Input should be greater than"),
        (lambda: ScheduleSpec(gamma=1.5), "gamma\n  Input should be less than or equal to 1"),
        (lambda: TrainSpec(epochs=1, lr_scaling="square"), "lr_scaling\n  Input should be 'none'"),
        (lambda: TrainSpec(epochs=1, optimiser=OptimizerSpec()), "optimiser\n  Unexpected keyword"),
    ],
)
def test_a_spec_out_of_bounds_cannot_be_made(make: Callable[[], Any], expected: str) -> None:
    with pytest.raises(ValueError, match=re.escape(expected)):
        make()


def test_values_at_their_bounds_are_accepted() -> None:
    ScheduleSpec(name="multistep", milestones=(1,), gamma=1)
    OptimizerSpec(momentum=0.0, weight_decay=0.0)
    TrainSpec(epochs=MAX_EPOCHS)
    dataclasses.replace(SPEC, batch_size=1, seed=0)


def test_a_whole_number_for_a_fraction_is_the_same_trial() -> None:
    one, other = (dataclasses.replace(SPEC.train, optimizer=OptimizerSpec(lr=n)) for n in (1, 1.0))
    assert dataclasses.replace(SPEC, train=one).trial_id == (
        dataclasses.replace(SPEC, train=other).trial_id
    )


@pytest.mark.parametrize("path", [("train", "epochs"), ("data", "num_train"), ("seed",)])
def test_a_dictionary_out_of_bounds_is_refused_by_its_key(path: tuple[str, ...]) -> None:
    plain = json.loads(json.dumps(spec_to_dict(SPEC)))
    *parents, last = path
    section = plain
    for parent in parents:
        section = section[parent]
    section[last] = -1
    with pytest.raises(ValueError, match=re.escape(f"version: {'.'.join(path)}: Input should be")):
        spec_from_dict(plain)


def test_each_field_is_described_once_and_the_docstring_says_so() -> None:
    for spec in (NormSpec, DataSpec, ModelSpec, OptimizerSpec, ScheduleSpec, TrainSpec, TrialSpec):
        for field in dataclasses.fields(spec):
            description = spec.__pydantic_fields__[field.name].description  # type: ignore[attr-defined]
            assert description, f"{spec.__name__}.{field.name}"
            assert f"    {field.name}: {description}" in str(spec.__doc__)


def test_chance_error() -> None:
    dimensions = Dimensions(
        num_classes=4, num_train=1, num_test=1, num_parameters=1, updates_per_epoch=1
    )
    assert dimensions.chance_error == 75.0


def test_names_are_read_without_importing_torch() -> None:
    program = (
        "import sys, trainables, trainables.spec, trainables.data, "
        "trainables.models; assert not {'torch', 'numpy', 'torchvision'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", program], check=True)
