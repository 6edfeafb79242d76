"""Simulation: how often a family of level and robustness errs, covers, and finds differences.

Errors are simulated as a sweep gives them: the streams depend on (seed, batch size), so that the
errors of one norm are independent over batch sizes, and shared by all norms, so that those of two
norms are correlated in a cell. The figures of `make test-slow` are in docs/measures.md.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import pandas as pd
import pytest

from analysis.statistics.inference.differences import compute_difference
from analysis.statistics.inference.family import Contrast, Measure, adjust_family
from analysis.statistics.inference.weighted_contrasts import (
    Estimate,
    combined_estimate,
    level_weights,
    paired_estimate,
    robustness_weights,
)

Floats = npt.NDArray[np.float64]
SIZES = (64, 16, 4, 2)
WEIGHTS = {
    Measure.LEVEL: level_weights(SIZES),
    Measure.ROBUSTNESS: robustness_weights(SIZES),
}
UNPAIRED = compute_difference(pd.Series(dtype=float), pd.Series(dtype=float))
QUICK, THOROUGH = 400, 10_000
REPEATS = pytest.mark.parametrize(
    "repeats", [QUICK, pytest.param(THOROUGH, marks=pytest.mark.slow)]
)
SHARED = 0.5
"""Share of a cell's variance that all norms have in common, as seeds make it."""


def draw_normal(rng: np.random.Generator, shape: tuple[int, ...]) -> Floats:
    return rng.normal(size=shape)


def draw_skewed(rng: np.random.Generator, shape: tuple[int, ...]) -> Floats:
    """Log-normal with sigma 0.6: mean 0, standard deviation 1."""
    values = rng.lognormal(0, 0.6, shape)
    mean, sd = np.exp(0.18), np.sqrt((np.exp(0.36) - 1) * np.exp(0.36))
    return (values - mean) / sd


NORM_SDS = {
    "equal": [1, 1, 1, 1, 1],
    "norms": [0.4, 1, 0.4, 2, 1],
    "reference": [2, 1, 1, 1, 1],
    "quiet reference": [0.1, 1, 1, 1, 1],
}
CELL_SDS = {
    "equal": [1, 1, 1, 1],
    "small batches": [0.3, 0.4, 0.8, 2.5],
    "one": [0.1, 0.1, 0.1, 2],
}
NOISES: dict[str, tuple[Callable[..., Floats], str, str]] = {
    "equal": (draw_normal, "equal", "equal"),
    "norms differ": (draw_normal, "norms", "equal"),
    "noisy reference": (draw_normal, "reference", "equal"),
    "small batches are noisy": (draw_normal, "norms", "small batches"),
    "one cell has nearly all noise": (draw_normal, "quiet reference", "one"),
    "skewed": (draw_skewed, "equal", "equal"),
    "skewed, norms differ": (draw_skewed, "norms", "equal"),
}


def draw_differences(
    rng: np.random.Generator, noise: str, num_norms: int, num_seeds: int
) -> Floats:
    """Norm minus reference; shape (norms, seeds, batch sizes), in points."""
    draw, by_norm, by_cell = NOISES[noise]
    cell_sd = np.array(CELL_SDS[by_cell])
    shared = np.sqrt(SHARED) * draw(rng, (1, num_seeds, len(SIZES)))
    own = np.sqrt(1 - SHARED) * draw(rng, (num_norms + 1, num_seeds, len(SIZES)))
    norm_sd = np.array(NORM_SDS[by_norm][: num_norms + 1])[:, None, None]
    errors = (shared + own * norm_sd) * cell_sd
    differences: Floats = errors[1:] - errors[:1]
    return differences


def estimate_combined(differences: Floats, weights: Floats) -> Estimate:
    return combined_estimate(list(differences.T), weights)


def judge(
    differences: Floats, estimate: Callable[[Floats, Floats], Estimate]
) -> tuple[Contrast, ...]:
    """The family of a sweep: level and robustness of every norm."""
    return adjust_family(
        [
            Contrast(f"n{norm}", measure, None, estimate(values, weights), UNPAIRED)
            for norm, values in enumerate(differences)
            for measure, weights in WEIGHTS.items()
        ]
    )


def slack(rate: float, repeats: int) -> float:
    """Three standard errors of a simulated rate."""
    return float(3 * np.sqrt(rate * (1 - rate) / repeats))


@REPEATS
@pytest.mark.parametrize("noise", NOISES)
@pytest.mark.parametrize(("num_norms", "num_seeds"), [(2, 3), (4, 3), (2, 5), (4, 5)])
def test_a_family_without_a_difference_errs_at_most_as_often_as_it_says(
    noise: str, num_norms: int, num_seeds: int, repeats: int
) -> None:
    rng = np.random.default_rng([num_norms, num_seeds])
    wrong = 0
    for _ in range(repeats):
        differences = draw_differences(rng, noise, num_norms, num_seeds)
        wrong += any(gap.is_significant for gap in judge(differences, estimate_combined))
    print(f"error: {noise}, K={num_norms}, n={num_seeds}: {100 * wrong / repeats:.2f} %")
    # One standard error of the simulation is allowed for, and three where it is short.
    assert wrong / repeats <= 0.055 + slack(0.05, repeats) / (3 if repeats == THOROUGH else 1)


@pytest.mark.slow
@pytest.mark.parametrize(("num_norms", "num_seeds"), [(4, 3), (4, 5)])
def test_skewed_noise_of_one_cell_that_is_not_shared_is_beyond_any_t_test(
    num_norms: int, num_seeds: int
) -> None:
    """The paired test errs as well: one cell has nearly all noise, and differences are skewed."""
    rng, repeats = np.random.default_rng([num_norms, num_seeds]), 4_000
    wrong = {estimate_combined: 0, paired_estimate: 0}
    for _ in range(repeats):
        differences = draw_skewed(rng, (num_norms, num_seeds, len(SIZES))) * CELL_SDS["one"]
        for estimate in wrong:
            wrong[estimate] += any(gap.is_significant for gap in judge(differences, estimate))
    rates = [100 * number / repeats for number in wrong.values()]
    print(f"skew of one cell: K={num_norms}, n={num_seeds}: {rates[0]:.1f} / {rates[1]:.1f} %")
    assert max(rates) < 20


@pytest.mark.slow
@pytest.mark.parametrize(
    ("num_norms", "num_seeds", "least_gain"), [(2, 3, 0.1), (4, 3, 0.06), (2, 5, 0.15), (4, 5, 0.2)]
)
def test_the_combined_test_finds_more_than_the_paired_one(
    num_norms: int, num_seeds: int, least_gain: float
) -> None:
    """Every norm's level differs by two standard deviations of the paired difference in AUEC."""
    rng, repeats = np.random.default_rng([num_norms, num_seeds]), 4_000
    sd = np.sqrt(2 * (1 - SHARED)) * np.sqrt((WEIGHTS[Measure.LEVEL] ** 2).sum())
    found = {estimate_combined: 0, paired_estimate: 0}
    for _ in range(repeats):
        differences = draw_differences(rng, "equal", num_norms, num_seeds) + 2 * sd
        for estimate in found:
            gaps = judge(differences, estimate)
            found[estimate] += sum(
                gap.is_significant for gap in gaps if gap.measure is Measure.LEVEL
            )
    combined, paired = (number / repeats / num_norms for number in found.values())
    print(f"power: K={num_norms}, n={num_seeds}: {100 * combined:.1f} / {100 * paired:.1f} %")
    assert combined >= paired + least_gain


@pytest.mark.slow
@pytest.mark.parametrize("effect", [0.0, 1.0, 2.0, 4.0])
@pytest.mark.parametrize(("num_norms", "num_seeds"), [(2, 3), (4, 5)])
def test_intervals_beside_holms_verdicts_hold_together(
    effect: float, num_norms: int, num_seeds: int
) -> None:
    """All intervals of a report contain their true values; half of the norms have an effect."""
    rng, repeats = np.random.default_rng([num_norms, num_seeds]), 6_000
    sd = np.sqrt(2 * (1 - SHARED)) * np.sqrt((WEIGHTS[Measure.LEVEL] ** 2).sum())
    true = np.where(np.arange(num_norms) % 2, effect * sd, 0.0)
    together = wrong = 0
    for _ in range(repeats):
        differences = draw_differences(rng, "equal", num_norms, num_seeds)
        gaps = judge(differences + true[:, None, None], estimate_combined)
        expected = [
            true[int(gap.norm[1:])] if gap.measure is Measure.LEVEL else 0.0 for gap in gaps
        ]
        missed = [not gap.low <= t <= gap.high for gap, t in zip(gaps, expected, strict=True)]
        together += not any(missed)
        wrong += any(
            gap.is_significant and (t == 0 or gap.value * t < 0)
            for gap, t in zip(gaps, expected, strict=True)
        )
    print(
        f"joint: K={num_norms}, n={num_seeds}, effect {effect}: cover "
        f"{100 * together / repeats:.1f} %, false claims {100 * wrong / repeats:.1f} %"
    )
    assert wrong / repeats <= 0.055
    assert together / repeats >= 0.93
