"""Time until the test error falls to a threshold and stays there, in epochs, updates and seconds.

A trial reaches the threshold at the first of `NUM_HELD_EVALUATIONS` evaluations in a row at or
below it. One that never does is censored at its last evaluation above the threshold: the later ones
might have become enough, had it continued. One that diverged is censored at the horizon, since it
would not have.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy import special

from analysis.statistics.inference.intervals import (
    CONFIDENCE,
    MIN_SEEDS,
    ROUNDING_TOLERANCE,
    SeedMean,
)

Unit = Literal["epochs", "updates", "seconds"]
NUM_HELD_EVALUATIONS = 3
OBSERVED_OUTCOMES = ("completed", "diverged", "running")
UNITS: tuple[Unit, ...] = ("epochs", "updates", "seconds")

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class SurvivalCurve:
    """Kaplan and Meier's estimate; begins at time 0.

    `remaining[i]` is the fraction of trials that have not reached the threshold from `times[i]` on;
    `at_risk[i]` counts those still observed just before.
    """

    times: Floats
    remaining: Floats
    at_risk: Floats


def compute_times_to_threshold(
    trials: pd.DataFrame, epochs: pd.DataFrame, threshold: float
) -> pd.DataFrame:
    """Return one row per trial: `norm`, `batch_size`, `seed`, `reached`, and the time in each unit.

    `epochs`, `updates` and `seconds` are the time of reaching, or of censoring. A diverged trial
    counts as observed for as many epochs as the longest at its batch size, at its own norm's speed.
    Failed trials, and running ones without an epoch, are left out.

    Args:
        trials: frame of trials.
        epochs: frame of their epochs.
        threshold: test error in percent.
    """
    clocks = epochs.assign(
        epochs=epochs["epoch"].astype(float),
        updates=epochs["num_updates"],
        seconds=epochs.groupby("trial_id")["train_s"].cumsum(),
    )
    horizon = clocks.groupby("batch_size")[["epochs", "updates"]].max()
    pace = epochs.groupby(["norm", "batch_size"])["train_s"].mean()
    curves = {str(trial_id): curve for trial_id, curve in clocks.groupby("trial_id")}
    rows: list[list[object]] = []
    for trial in trials[trials["outcome"].isin(OBSERVED_OUTCOMES)].to_dict("records"):
        curve = curves.get(trial["trial_id"], clocks.iloc[:0])
        below = curve["test_error"].to_numpy(float) <= threshold
        when = _find_first_held(below)
        if when is not None:
            time = curve.iloc[when]
        elif trial["outcome"] == "diverged" and trial["batch_size"] in horizon.index:
            time = horizon.loc[trial["batch_size"]]
            speed = float(pace.get((trial["norm"], trial["batch_size"]), np.nan))
            time = pd.Series({**time, "seconds": time["epochs"] * speed})
        elif len(curve):
            above = len(below) - _count_held_at_end(below)
            time = curve.iloc[above - 1] if above else pd.Series(0.0, list(UNITS))
        else:
            continue
        rows.append(
            [trial["norm"], trial["batch_size"], trial["seed"], when is not None]
            + [float(time[unit]) for unit in UNITS]
        )
    return pd.DataFrame(rows, columns=["norm", "batch_size", "seed", "reached", *UNITS])


def _find_first_held(below: npt.NDArray[np.bool_]) -> int | None:
    """Return the index at which the error first stays below the threshold for long enough, or None.

    `below` says of each evaluation whether its error is at or below the threshold.
    """
    if len(below) < NUM_HELD_EVALUATIONS:
        return None
    starts = np.flatnonzero(
        np.convolve(below, np.ones(NUM_HELD_EVALUATIONS), "valid") == NUM_HELD_EVALUATIONS
    )
    return int(starts[0]) if len(starts) else None


def _count_held_at_end(below: npt.NDArray[np.bool_]) -> int:
    """Return how many of the last evaluations in a row are at or below the threshold."""
    return int(np.minimum.accumulate(below[::-1]).sum())


def estimate_survival(times: Floats, reached: npt.NDArray[np.bool_]) -> SurvivalCurve:
    """Return the fraction that has not reached the threshold over time (Kaplan and Meier 1958).

    Trials censored at a time count as at risk at that time.
    """
    moments = np.unique(times)
    at_risk = np.array([(times >= moment).sum() for moment in moments], dtype=float)
    events = np.array([(reached & (times == moment)).sum() for moment in moments], dtype=float)
    remaining = np.cumprod(1 - events / at_risk) if len(moments) else np.array([])
    return SurvivalCurve(
        times=np.concatenate([[0.0], moments]),
        remaining=np.concatenate([[1.0], remaining]),
        at_risk=np.concatenate([[float(len(times))], at_risk]),
    )


def compute_restricted_mean(curve: SurvivalCurve, horizon: float) -> float:
    """Return the area under `curve` up to `horizon`: the mean time, at most the horizon."""
    inside = curve.times < horizon
    edges = np.append(curve.times[inside], horizon)
    return float((curve.remaining[inside] * np.diff(edges)).sum())


def compute_restricted_mean_error(curve: SurvivalCurve, horizon: float) -> float:
    """Return the standard error of the restricted mean by Greenwood's formula.

    The variance is the sum over times t of reaching of A(t)^2 d / (n (n - d)), where A(t) is the
    area under the curve from t to the horizon, d of n trials at risk reaching the threshold at t;
    times m / (m - 1) for m trials that reached it (Kaplan and Meier 1958, section 6.2). Without
    censoring it is the standard error of a mean. Missing for fewer than two trials that reached it.
    """
    inside = curve.times < horizon
    edges = np.append(curve.times[inside], horizon)
    areas = (curve.remaining[inside] * np.diff(edges))[::-1].cumsum()[::-1]
    num_reached = _count_reached(curve, inside)
    total = num_reached.sum() + _count_reached(curve, ~inside).sum()
    if round(total) < 2:
        return np.nan
    at_risk = curve.at_risk[inside]
    left = at_risk - num_reached
    used = (num_reached > 0) & (left > 0.5)
    variance = (areas[used] ** 2 * num_reached[used] / (at_risk[used] * left[used])).sum()
    return float(np.sqrt(variance * total / (total - 1)))


def _count_reached(curve: SurvivalCurve, chosen: npt.NDArray[np.bool_]) -> Floats:
    """Return how many trials reach the threshold at each of the chosen times of `curve`."""
    before = np.concatenate([[1.0], curve.remaining[:-1]])
    share = np.divide(before - curve.remaining, before, out=np.zeros_like(before), where=before > 0)
    found: Floats = np.round(share * curve.at_risk)[chosen]
    return found


def estimate_restricted_mean(
    times: Floats, reached: npt.NDArray[np.bool_], horizon: float
) -> SeedMean:
    """Return the restricted mean time with its 95 % interval.

    Student's t with a degree of freedom fewer than trials that reached the threshold, which is the
    interval of a mean where all did. No interval is given where fewer than `MIN_SEEDS` reached it,
    or all that did took the same time. `num` counts the trials.

    Args:
        times: time of reaching or of censoring of each trial.
        reached: whether it reached the threshold.
        horizon: time at which the mean ends, in the unit of `times`.
    """
    curve = estimate_survival(times, reached)
    value = compute_restricted_mean(curve, horizon) if reached.any() else np.nan
    error = compute_restricted_mean_error(curve, horizon)
    num_reached = int(reached.sum())
    sd = error * float(np.sqrt(len(times)))
    if num_reached < MIN_SEEDS or not error > ROUNDING_TOLERANCE:
        return SeedMean(value, sd, np.nan, len(times))
    quantile = float(special.stdtrit(num_reached - 1, (1 + CONFIDENCE) / 2))
    return SeedMean(value, sd, quantile * error, len(times))
