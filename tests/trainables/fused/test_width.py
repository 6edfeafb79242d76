from __future__ import annotations

import pytest

from trainables.fused.width import WARM_UP_STEPS, Width, candidates


def settled(num_trials: int, step_s: dict[int, float]) -> Width:
    """A width that was tried on a machine where a step of all trials takes so long."""
    width = Width(num_trials)
    while width.num_steps:
        width.observe(width.num_steps, width.num_steps * step_s[width.now])
    return width


def test_one_at_a_time_then_all_then_fewer() -> None:
    assert candidates(1) == [1]
    assert candidates(2) == [1, 2]
    assert candidates(5) == [1, 5, 3, 2]
    assert candidates(8) == [1, 8, 4, 2]


def test_the_fastest_is_taken_and_what_was_timed_is_known() -> None:
    step_s = {1: 0.8, 8: 0.4, 4: 0.3, 2: 0.5}
    width = settled(8, step_s)
    assert width.now == 4
    assert width.step_s == pytest.approx(step_s)


@pytest.mark.parametrize(("together", "taken"), [(0.99, 1), (0.96, 2)])
def test_side_by_side_has_to_pay(together: float, taken: int) -> None:
    assert settled(2, {1: 1.0, 2: together}).now == taken


def test_timing_lasts_a_fraction_of_a_second_and_at_least_some_steps() -> None:
    width = Width(2)
    width.observe(WARM_UP_STEPS, 0.0029 * WARM_UP_STEPS)
    assert width.num_steps == 103  # 0.3 s
    width.observe(103, 0.3)
    width.observe(WARM_UP_STEPS, 10.0)
    assert width.num_steps == WARM_UP_STEPS


def test_a_given_width_is_not_tried() -> None:
    assert (Width(8, 4).now, Width(8, 4).num_steps) == (4, None)
    assert Width(3, 4).now == 3
    assert (Width(1).now, Width(1).num_steps) == (1, None)


def test_one_at_a_time_once_it_has_given_up() -> None:
    width = Width(4)
    width.observe(WARM_UP_STEPS, 1.0)
    width.give_up()
    assert (width.now, width.num_steps) == (1, None)
