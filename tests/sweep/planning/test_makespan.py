from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sweep.planning.makespan import forecast_by_slots, makespan

DURATIONS = st.lists(st.floats(0.1, 100), min_size=1, max_size=7)


def test_whichever_slot_is_free_takes_the_next() -> None:
    assert makespan([3, 3, 2, 2, 2], 2) == 7  # 3 2 2 | 3 2
    assert makespan([4, 3, 3], 3) == 4
    assert makespan([], 2) == 0
    with pytest.raises(ValueError, match="`slots >= 1` must hold, but got slots=0"):
        makespan([1], 0)


@given(DURATIONS, st.integers(1, 4))
def test_no_assignment_is_much_better(durations: list[float], slots: int) -> None:
    """Graham 1966: within 2 - 1/m of the best, and 4/3 - 1/(3m) with the longest first."""
    best = min(
        max(
            sum(d for d, s in zip(durations, slot, strict=True) if s == own) for own in range(slots)
        )
        for slot in itertools.product(range(slots), repeat=len(durations))
    )
    assert best <= makespan(durations, slots) * (1 + 1e-9)
    assert makespan(durations, slots) <= (2 - 1 / slots) * best * (1 + 1e-9)
    longest_first = sorted(durations, reverse=True)
    assert makespan(longest_first, slots) <= (4 / 3 - 1 / (3 * slots)) * best * (1 + 1e-9)


def test_slots_are_doubled_while_that_helps() -> None:
    found = list(forecast_by_slots([3600.0] * 8))
    assert [o.slots for o in found] == [1, 2, 4, 8]
    assert [o.makespan_s for o in found] == [8 * 3600, 4 * 3600, 2 * 3600, 3600]
    assert {o.slot_hours for o in found} == {8.0}
    one_long = list(forecast_by_slots([3600.0, *[60.0] * 30]))
    assert [o.slots for o in one_long] == [1, 2]  # the long one bounds it
    assert one_long[-1].slot_hours == pytest.approx(2.0)


def test_nothing_to_train_takes_one_slot_no_time() -> None:
    assert [(o.slots, o.makespan_s) for o in forecast_by_slots([])] == [(1, 0.0)]
