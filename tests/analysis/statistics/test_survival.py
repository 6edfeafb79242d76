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

from analysis.statistics.survival import (
    compute_restricted_mean,
    compute_times_to_threshold,
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
