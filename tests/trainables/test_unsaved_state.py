"""State that a checkpoint does not hold is named before anything is trained."""

from __future__ import annotations

import pytest
from trial_specs import shrink_trial

from trainables.spec import ModelSpec, TrialSpec
from trainables.unsaved_state import describe_unsaved_state

IN_NO_BUFFER = "in training, which is no parameter or buffer: a resumed trial loses it; use"


def spec_of(norm: str, model: str = "calling_models:Base") -> TrialSpec:
    name = f"forgetful_layers:{norm}" if norm[0].isupper() else norm
    return shrink_trial(name, model=ModelSpec(name=model))


@pytest.mark.parametrize(
    ("norm", "expected"),
    [
        (
            "PlainAverages",
            "`moving_mean` and `moving_sum` in training, which are no parameters or buffers: a "
            "resumed trial loses them; use register_buffer",
        ),
        ("LateAverage", f"`latest` {IN_NO_BUFFER} register_buffer"),
        ("Counts", f"`steps` {IN_NO_BUFFER} register_buffer"),
        ("InAList", f"`of_batches` {IN_NO_BUFFER} register_buffer"),
        (
            "NotSaved",
            "`average` in training, which is a buffer with persistent=False: a resumed trial "
            "loses it; use persistent=True",
        ),
    ],
)
def test_what_a_norm_changes_and_does_not_save_is_named_once(norm: str, expected: str) -> None:
    assert describe_unsaved_state(spec_of(norm)) == [
        f"forgetful_layers:{norm} in calling_models:Base: norm1 ({norm}) and 1 more change "
        f"{expected}"
    ]


def test_so_is_what_a_custom_model_changes_itself() -> None:
    model = "forgetful_layers:Smoothed"
    assert describe_unsaved_state(spec_of("batchnorm", model)) == [
        f"model {model}: the model (Smoothed) changes `average` {IN_NO_BUFFER} register_buffer"
    ]


@pytest.mark.parametrize("norm", ["Caches", "SavesItself", "batchnorm", "mabn", "batchrenorm"])
def test_what_is_saved_or_of_the_last_batch_alone_is_not(norm: str) -> None:
    assert describe_unsaved_state(spec_of(norm)) == []


def test_a_norm_in_a_built_in_model_is_tried_too() -> None:
    (line,) = describe_unsaved_state(shrink_trial("forgetful_layers:Counts"))
    assert line.startswith("forgetful_layers:Counts in resnet8: norm1 (Counts) and 8 more change")
    assert describe_unsaved_state(shrink_trial("batchnorm")) == []
