"""Times to a threshold: what counts as reaching it, and lifelines' own data and estimates."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from lifelines import KaplanMeierFitter
from lifelines.datasets import load_leukemia, load_waltons
from lifelines.utils import restricted_mean_survival_time
from scipy import stats

from analysis.statistics.survival import (
    compute_restricted_mean,
    compute_restricted_mean_error,
    compute_times_to_threshold,
    estimate_restricted_mean,
    estimate_survival,
)

SAMPLES = st.lists(st.tuples(st.integers(1, 9), st.booleans()), min_size=1, max_size=15)


def check_against_lifelines(times: np.ndarray, reached: np.ndarray, horizon: float) -> None:
    curve = estimate_survival(times, reached)
    fitter = KaplanMeierFitter().fit(times, reached)
    expected = fitter.survival_function_at_times(curve.times).to_numpy()
    assert curve.remaining == pytest.approx(expected, abs=1e-9)
    assert curve.at_risk[1:] == pytest.approx(
        fitter.event_table["at_risk"].to_numpy()[-len(curve.times) + 1 :]
    )
    assert compute_restricted_mean(curve, horizon) == pytest.approx(
        restricted_mean_survival_time(fitter, t=horizon)
    )


@settings(max_examples=40, deadline=None)
@given(SAMPLES, st.integers(1, 12))
def test_estimates_are_those_of_lifelines(sample: list[tuple[int, bool]], horizon: int) -> None:
    times, reached = np.array(sample, dtype=float).T
    check_against_lifelines(times, reached.astype(bool), horizon)


def test_lifelines_own_examples() -> None:
    waltons = load_waltons()
    for _, part in waltons.groupby("group"):
        check_against_lifelines(part["T"].to_numpy(float), part["E"].to_numpy(bool), 50)
    leukemia = load_leukemia()
    check_against_lifelines(leukemia["t"].to_numpy(float), leukemia["status"].to_numpy(bool), 20)


def frames(outcomes: dict[str, str], curves: dict[str, list[float]]) -> tuple[pd.DataFrame, ...]:
    trials = pd.DataFrame(
        [
            {"trial_id": name, "norm": "a", "batch_size": 4, "seed": seed, "outcome": outcome}
            for seed, (name, outcome) in enumerate(outcomes.items())
        ]
    )
    epochs = pd.DataFrame(
        [
            {
                "trial_id": name,
                "norm": "a",
                "batch_size": 4,
                "epoch": epoch,
                "test_error": error,
                "num_updates": 100.0 * epoch,
                "train_s": 2.0,
            }
            for name, errors in curves.items()
            for epoch, error in enumerate(errors, start=1)
        ]
    )
    return trials, epochs


def test_the_threshold_must_hold_for_three_evaluations() -> None:
    trials, epochs = frames(
        {"dips": "completed", "stays": "completed", "late": "completed"},
        {"dips": [9, 5, 9, 5, 5, 9], "stays": [9, 5, 5, 5, 9, 9], "late": [9, 9, 9, 9, 5, 5]},
    )
    found = compute_times_to_threshold(trials, epochs, 5.0).set_index("seed")
    assert found["reached"].tolist() == [False, True, False]
    assert found["epochs"].tolist() == [6, 2, 4]
    assert found["updates"].tolist() == [600, 200, 400]
    assert found["seconds"].tolist() == [12, 4, 8]


def test_what_might_have_been_reached_had_it_gone_on_is_censored_before() -> None:
    """Evaluations below the threshold at the very end may have been the first of three."""
    trials, epochs = frames(
        {"two": "completed", "one": "completed", "none": "completed", "only": "completed"},
        {"two": [9, 9, 9, 9, 5, 5], "one": [5, 5, 9, 5], "none": [5, 5, 9], "only": [5, 5]},
    )
    found = compute_times_to_threshold(trials, epochs, 6.0)
    assert not found["reached"].any()
    assert found["epochs"].tolist() == [4, 3, 3, 0]
    assert found["updates"].tolist() == [400, 300, 300, 0]
    assert found["seconds"].tolist() == [8, 6, 6, 0]


def test_a_diverged_trial_is_censored_at_the_horizon_and_not_where_it_broke() -> None:
    trials, epochs = frames(
        {"good": "completed", "broken": "diverged", "at once": "diverged", "bug": "failed"},
        {"good": [9, 5, 5, 5, 5], "broken": [9, np.nan], "bug": [9]},
    )
    found = compute_times_to_threshold(trials, epochs, 5.0)
    assert found["seed"].tolist() == [0, 1, 2]
    assert found["reached"].tolist() == [True, False, False]
    assert found["epochs"].tolist() == [2, 5, 5]


def test_a_running_trial_is_censored_where_it_stands() -> None:
    trials, epochs = frames(
        {"good": "completed", "running": "running"}, {"good": [9, 5, 5, 5], "running": [9, 8, 5]}
    )
    found = compute_times_to_threshold(trials, epochs, 5.0)
    assert found["epochs"].tolist() == [2, 2]
    assert found["reached"].tolist() == [True, False]


def test_each_norm_is_timed_by_its_own_clock() -> None:
    """What never reaches the threshold is watched as long as it trained, not as the slowest did."""
    trials, epochs = frames(
        {"slow": "completed", "fast": "completed", "broken": "diverged"},
        {"slow": [9, 9, 9, 9], "fast": [9, 9, 9, 9], "broken": [9]},
    )
    fast = epochs["trial_id"].isin(["fast", "broken"])
    epochs = epochs.assign(train_s=np.where(fast, 0.5, 2.0), norm=np.where(fast, "b", "a"))
    trials = trials.assign(norm=["a", "b", "b"])
    found = compute_times_to_threshold(trials, epochs, 5.0)
    assert not found["reached"].any()
    assert found["epochs"].tolist() == [4, 4, 4]
    assert found["seconds"].tolist() == [8, 2, 2]


def greenwood_of_lifelines(times: np.ndarray, reached: np.ndarray, horizon: float) -> float:
    """Greenwood's variance of the restricted mean, from the event table of lifelines."""
    fitter = KaplanMeierFitter().fit(times, reached)
    table = fitter.event_table[fitter.event_table["observed"] > 0]
    total = 0.0
    for moment, row in table.iterrows():
        at_risk, events = row["at_risk"], row["observed"]
        if moment < horizon and at_risk > events:
            area = restricted_mean_survival_time(fitter, t=horizon)
            area -= restricted_mean_survival_time(fitter, t=moment) if moment > 0 else 0
            total += area**2 * events / (at_risk * (at_risk - events))
    num = int(reached.sum())
    return total * num / (num - 1)


@settings(max_examples=40, deadline=None)
@given(SAMPLES, st.integers(1, 12))
def test_the_variance_is_greenwoods(sample: list[tuple[int, bool]], horizon: int) -> None:
    times, events = np.array(sample, dtype=float).T
    reached = events.astype(bool)
    found = compute_restricted_mean_error(estimate_survival(times, reached), horizon)
    if reached.sum() < 2:
        assert np.isnan(found)
    else:
        assert found**2 == pytest.approx(greenwood_of_lifelines(times, reached, horizon), abs=1e-9)


def test_without_censoring_the_variance_is_that_of_lifelines_and_the_interval_students() -> None:
    times, reached = np.array([3.0, 5.0, 4.0, 9.0, 7.0]), np.ones(5, dtype=bool)
    fitter = KaplanMeierFitter().fit(times, reached)
    _, variance = restricted_mean_survival_time(fitter, t=6, return_variance=True)
    error = compute_restricted_mean_error(estimate_survival(times, reached), 6)
    assert error**2 == pytest.approx(variance / 4)
    found = estimate_restricted_mean(times, reached, 9)
    interval = stats.ttest_1samp(times, 0).confidence_interval()
    assert (found.low, found.high) == pytest.approx((interval.low, interval.high))


def test_few_or_equal_times_give_no_interval() -> None:
    for times, reached in (
        ([3.0, 4.0, 9.0], [True, True, False]),
        ([3.0, 3.0, 3.0], [True, True, True]),
        ([3.0, 4.0, 9.0], [False, False, False]),
    ):
        found = estimate_restricted_mean(np.array(times), np.array(reached), 9)
        assert np.isnan(found.half_width)
    assert np.isnan(found.value)


@pytest.mark.parametrize("repeats", [300, pytest.param(5000, marks=pytest.mark.slow)])
def test_the_interval_of_the_restricted_mean_covers(repeats: int) -> None:
    """Exponential times of mean 10, ten trials, watched up to 15: about a fifth are censored."""
    rng = np.random.default_rng(0)
    true = 10 * (1 - np.exp(-1.5))
    covered = 0
    for _ in range(repeats):
        times = rng.exponential(10, 10)
        reached = times < 15
        found = estimate_restricted_mean(np.minimum(times, 15), reached, 15)
        covered += bool(found.low <= true <= found.high)
    assert 0.92 - 3 * np.sqrt(0.05 * 0.95 / repeats) <= covered / repeats <= 0.99
