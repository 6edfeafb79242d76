import json
from itertools import groupby

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trainables.threshold import TimeToThreshold


def times(epoch: int) -> dict[str, float]:
    return {
        "epochs_to_threshold": epoch,
        "updates_to_threshold": 10 * epoch,
        "seconds_to_threshold": 2.0 * epoch,
    }


def follow(errors: list[float], to_threshold: TimeToThreshold, start: int = 1) -> TimeToThreshold:
    """Ten updates and two seconds an epoch."""
    for epoch, error in enumerate(errors, start=start):
        to_threshold.observe(epoch=epoch, num_updates=10 * epoch, train_s=2.0, test_error=error)
    return to_threshold


def reached(errors: list[float], threshold: float) -> int | None:
    """The epoch in which the first run of three or more errors that hold begins."""
    epoch = 1
    for holds, run in groupby(errors, key=lambda error: error <= threshold):
        length = len(list(run))
        if holds and length >= 3:
            return epoch
        epoch += length
    return None


@given(errors=st.lists(st.sampled_from([39.9, 40.0, 40.1]), max_size=12))
def test_the_time_is_that_of_the_first_of_three_evaluations_that_hold(errors: list[float]) -> None:
    found = follow(errors, TimeToThreshold(40.0)).metrics()
    epoch = reached(errors, 40.0)
    assert found == ({} if epoch is None else times(epoch))


@given(errors=st.lists(st.sampled_from([39.0, 41.0]), max_size=9), cut=st.integers(0, 9))
def test_it_goes_on_from_its_state(errors: list[float], cut: int) -> None:
    first = follow(errors[:cut], TimeToThreshold(40.0))
    resumed = TimeToThreshold(40.0)
    resumed.load_state_dict(json.loads(json.dumps(first.state_dict())))
    assert follow(errors[cut:], resumed, cut + 1).metrics() == (
        follow(errors, TimeToThreshold(40.0)).metrics()
    )


@pytest.mark.parametrize("errors", [[0.0] * 5, []])
def test_without_a_threshold_there_is_no_time(errors: list[float]) -> None:
    to_threshold = follow(errors, TimeToThreshold(None))
    assert to_threshold.metrics() == {}
    assert to_threshold.state_dict() == TimeToThreshold(None).state_dict()
