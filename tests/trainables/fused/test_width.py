from __future__ import annotations

import pytest

from trainables.fused.width import WARM_UP_STEPS, WidthSelector, candidate_widths


def settled(num_trials: int, step_s: dict[int, float]) -> WidthSelector:
    """A width that was tried on a machine where a step of all trials takes so long."""
    width = WidthSelector(num_trials)
    while width.num_steps:
        width.observe(width.num_steps, width.num_steps * step_s[width.current])
    return width


def test_one_at_a_time_then_all_then_fewer() -> None:
    assert candidate_widths(1) == [1]
    assert candidate_widths(2) == [1, 2]
    assert candidate_widths(5) == [1, 5, 3, 2]
    assert candidate_widths(8) == [1, 8, 4, 2]


def test_the_fastest_is_taken_and_what_was_timed_is_known() -> None:
    step_s = {1: 0.8, 8: 0.4, 4: 0.3, 2: 0.5}
    width = settled(8, step_s)
    assert width.current == 4
    assert width.step_s == pytest.approx(step_s)


@pytest.mark.parametrize(("together", "taken"), [(0.99, 1), (0.96, 2)])
def test_side_by_side_has_to_pay(together: float, taken: int) -> None:
    assert settled(2, {1: 1.0, 2: together}).current == taken


def test_timing_lasts_a_fraction_of_a_second_and_at_least_some_steps() -> None:
    width = WidthSelector(2)
    width.observe(WARM_UP_STEPS, 0.0029 * WARM_UP_STEPS)
    assert width.num_steps == 103  # 0.3 s
    width.observe(103, 0.3)
    width.observe(WARM_UP_STEPS, 10.0)
    assert width.num_steps == WARM_UP_STEPS


def test_a_given_width_is_not_tried() -> None:
    assert (WidthSelector(8, 4).current, WidthSelector(8, 4).num_steps) == (4, None)
    assert WidthSelector(3, 4).current == 3
    assert (WidthSelector(1).current, WidthSelector(1).num_steps) == (1, None)


def test_one_at_a_time_once_it_has_given_up() -> None:
    width = WidthSelector(4)
    width.observe(WARM_UP_STEPS, 1.0)
    width.use_single_networks()
    assert (width.current, width.num_steps) == (1, None)
