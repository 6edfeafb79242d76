from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from small_grids import load

from sweep.errors import RefusedError
from sweep.resources.capacity import Capacity, Share

HEAD = {"CPU": 0.0}
WORKER = {"CPU": 4.0, "GPU": 1.0}


def test_a_trial_has_to_fit_on_one_node() -> None:
    assert Capacity([HEAD, WORKER, WORKER]).slots(Share(1, 1)) == 2
    assert Capacity([{"CPU": 3.0}, {"CPU": 3.0}]).slots(Share(2, 0)) == 2
    with pytest.raises(RefusedError, match=r"a trial wants 2 CPU .* there is only 1 CPU, 0 GPU"):
        Capacity([{"CPU": 1.0}] * 5).slots(Share(2, 0))


@given(
    cpus=st.lists(st.integers(0, 9), min_size=1, max_size=6),
    wanted=st.integers(1, 9),
)
def test_slots_are_as_many_as_can_be_packed(cpus: list[int], wanted: int) -> None:
    packed = 0
    for left in cpus:
        while left >= wanted:
            left, packed = left - wanted, packed + 1
    capacity = Capacity([{"CPU": float(n)} for n in cpus])
    if packed:
        assert capacity.slots(Share(wanted, 0)) == packed
    else:
        with pytest.raises(RefusedError):
            capacity.slots(Share(wanted, 0))


def test_a_cluster_that_grows_from_zero_counts_what_may_come() -> None:
    grown = Capacity([HEAD], expected=[WORKER] * 8)
    (share,) = grown.shares(load())
    assert share == Share(1, 1)
    assert grown.slots(share) == 8
    assert not grown.has_room(share)
    assert Capacity([HEAD, WORKER], expected=[WORKER] * 8).has_room(share)
