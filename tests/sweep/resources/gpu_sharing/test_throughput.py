from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sweep.resources.gpu_sharing.throughput import ThroughputProbe

GIB = 2**30


def probed(
    rate: Callable[[int], float], *, process: int = GIB, device: int = 80 * GIB, most: int = 8
) -> ThroughputProbe:
    """What measuring a device of that throughput finds, number after number."""
    probe = ThroughputProbe(process, device, {})
    while (number := probe.next_to_try(most)) is not None:
        probe = ThroughputProbe(process, device, {**probe.steps_per_s, number: rate(number)})
    return probe


@pytest.mark.parametrize(
    ("rates", "found"),
    [
        ({1: 100, 2: 200, 4: 390, 8: 600}, 8),
        ({1: 100, 2: 190, 4: 195, 8: 400}, 2),  # four gain too little: eight are not tried
        ({1: 100, 2: 104, 4: 400, 8: 400}, 1),
        ({1: 100, 2: 60, 4: 60, 8: 60}, 1),
        ({1: 100, 2: 150, 4: 0, 8: 0}, 2),  # four did not get along
    ],
)
def test_as_many_share_as_raise_the_throughput(rates: dict[int, float], found: int) -> None:
    probe = probed(rates.__getitem__)
    assert probe.trials_per_device() == found
    assert max(probe.steps_per_s) <= 2 * found


def test_memory_with_a_margin_bounds_what_is_even_tried() -> None:
    probe = probed(float, process=20 * GIB)
    assert set(probe.steps_per_s) == {1, 2}
    assert probe.trials_per_device() == 2
    assert set(probed(float, process=79 * GIB).steps_per_s) == {1}
    assert probed(float, process=79 * GIB).trials_per_device() == 1


def test_cpus_bound_it_when_measured_and_when_used() -> None:
    assert set(probed(float, most=5).steps_per_s) == {1, 2, 4}
    assert probed(float).trials_per_device(most=5) == 4
    assert probed(float).trials_per_device(most=0) == 1


@given(
    rates=st.lists(st.floats(0, 1e6), min_size=4, max_size=4),
    process=st.integers(0, 100 * GIB),
    device=st.integers(GIB, 100 * GIB),
    most=st.integers(1, 20),
)
def test_what_is_found_fits_and_was_measured(
    rates: list[float], process: int, device: int, most: int
) -> None:
    by_number = dict(zip((1, 2, 4, 8, 16), [*rates, 1e9], strict=True))
    probe = probed(by_number.__getitem__, process=process, device=device, most=min(most, 8))
    found = probe.trials_per_device(most)
    assert 1 <= found <= max(1, min(most, 8))
    assert found in probe.steps_per_s
    assert found == 1 or found * process <= 0.9 * device
    assert probe.steps_per_s[found] >= 1.05 ** (found.bit_length() - 1) * probe.steps_per_s[1]
