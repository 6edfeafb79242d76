"""The contrasts of a comparison before they are adjusted, and the test that its design allows."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from analysis.schema import PER_CELL
from analysis.statistics.inference.differences import (
    Difference,
    compute_difference,
    estimate_welch,
)
from analysis.statistics.inference.family import Contrast, Measure
from analysis.statistics.inference.intervals import Floats
from analysis.statistics.inference.weighted_contrasts import (
    Estimate,
    combined_estimate,
    level_weights,
    paired_estimate,
    robustness_weights,
    sign_flip_p,
)
from analysis.statistics.robustness import (
    compute_auec,
    compute_degradation,
    tabulate_norm_errors,
)

if TYPE_CHECKING:
    from analysis.statistics.comparison import Comparison


class ContrastTest(StrEnum):
    """The test of a declared contrast."""

    COMBINED = "combined over batch sizes"
    PAIRED = "paired by seed"
    UNPAIRED = "Welch, unpaired"


def choose_test(comparison: Comparison) -> ContrastTest:
    """Return the test that the design of the comparison allows; it does not depend on errors.

    Streams that depend on (seed, batch size) make batch sizes independent replicates. Without any
    seed in common with the reference nothing can be paired.
    """
    by_design = ContrastTest.COMBINED if comparison.seeding == PER_CELL else ContrastTest.PAIRED
    sizes = comparison.common_batch_sizes
    if not sizes or len(comparison.distinct_norms) == 1:
        return by_design
    weights = level_weights(sizes)
    is_unpaired = all(
        _estimate(comparison, norm, by_design, weights).num == 0
        for norm in comparison.distinct_norms[1:]
    )
    return ContrastTest.UNPAIRED if is_unpaired else by_design


def estimate_declared_contrasts(comparison: Comparison) -> list[Contrast]:
    """Return level and robustness of every norm against the reference, not adjusted yet.

    Norms that are one network are included once, and never that of the reference. With a single
    batch size there is no robustness.
    """
    sizes = comparison.common_batch_sizes
    if not sizes:
        empty = pd.Series(dtype=float)
        missing = Estimate(np.nan, np.nan, np.nan, 0)
        return [
            Contrast(norm, Measure.LEVEL, None, missing, compute_difference(empty, empty))
            for norm in comparison.distinct_norms[1:]
        ]
    measures = [Measure.LEVEL, *([Measure.ROBUSTNESS] if len(sizes) > 1 else [])]
    return [
        _compare_with_reference(comparison, norm, measure)
        for norm in comparison.distinct_norms[1:]
        for measure in measures
    ]


def _compare_with_reference(comparison: Comparison, norm: str, measure: Measure) -> Contrast:
    """Return one declared contrast, not adjusted yet."""
    difference = _compute_seed_difference(comparison, norm, measure)
    if comparison.test is ContrastTest.UNPAIRED:
        first, second = (
            np.asarray(_compute_per_seed(comparison, name, measure), dtype=np.float64)
            for name in _pair(comparison, norm)
        )
        estimate = estimate_welch(first, second)
    else:
        weights = _get_weights(comparison, measure)
        estimate = _estimate(comparison, norm, comparison.test, weights)
    if measure is Measure.ROBUSTNESS and _is_rise_uninformative(comparison, norm):
        estimate = Estimate(estimate.value, np.nan, np.nan, estimate.num)
    return Contrast(norm, measure, None, estimate, difference)


def _pair(comparison: Comparison, norm: str) -> tuple[str, str]:
    """Return the norm and the reference."""
    return norm, comparison.reference


def _get_weights(comparison: Comparison, measure: Measure) -> Floats:
    """Return the weights of a declared measure over the common batch sizes."""
    sizes = comparison.common_batch_sizes
    return level_weights(sizes) if measure is Measure.LEVEL else robustness_weights(sizes)


def _compute_per_seed(comparison: Comparison, norm: str, measure: Measure) -> pd.Series[float]:
    """Return a declared measure of each seed that has the batch sizes that it needs."""
    table = tabulate_norm_errors(comparison.scored, norm, comparison.common_batch_sizes)
    if measure is Measure.LEVEL:
        return compute_auec(table).dropna()
    return compute_degradation(table).iloc[:, -1].dropna()


def _compute_seed_difference(comparison: Comparison, norm: str, measure: Measure) -> Difference:
    """Return the difference of a declared measure, taken seed by seed."""
    first, second = (
        _compute_per_seed(comparison, name, measure) for name in _pair(comparison, norm)
    )
    return compute_difference(first, second)


def _tabulate_differences(comparison: Comparison, norm: str) -> pd.DataFrame:
    """Return norm minus reference (points): rows are seeds in common, columns batch sizes."""
    first, second = (
        tabulate_norm_errors(comparison.scored, name, comparison.common_batch_sizes)
        for name in _pair(comparison, norm)
    )
    seeds = first.index.intersection(second.index)
    return first.loc[seeds] - second.loc[seeds]


def _split_columns(differences: pd.DataFrame) -> list[Floats]:
    """Return per batch size the differences of the seeds that have one."""
    return [differences[size].dropna().to_numpy(float) for size in differences]


def _estimate(comparison: Comparison, norm: str, test: ContrastTest, weights: Floats) -> Estimate:
    """Return the estimate of a weighted contrast from paired differences."""
    differences = _tabulate_differences(comparison, norm)
    if test is ContrastTest.COMBINED:
        return combined_estimate(_split_columns(differences), weights)
    return paired_estimate(differences.to_numpy(float), weights)


def _is_rise_uninformative(comparison: Comparison, norm: str) -> bool:
    """Return whether a rise is no evidence: an error at chance cannot rise.

    True where either norm is at chance at the largest batch size, or both at the smallest.
    """
    largest, *_, smallest = comparison.common_batch_sizes
    pair = _pair(comparison, norm)
    return any((name, largest) in comparison.at_chance for name in pair) or all(
        (name, smallest) in comparison.at_chance for name in pair
    )


def compute_sign_flip_p(comparison: Comparison, contrast: Contrast) -> float:
    """Return the exact sign-flip p of a declared contrast over (seed, batch size).

    Missing unless batch sizes are independent by design, or where the contrast is not tested.
    """
    if comparison.test is not ContrastTest.COMBINED or np.isnan(contrast.estimate.p):
        return np.nan
    if contrast.measure is Measure.ERROR:
        return np.nan
    differences = _tabulate_differences(comparison, contrast.norm)
    return sign_flip_p(_split_columns(differences), _get_weights(comparison, contrast.measure))


def estimate_cell_contrasts(comparison: Comparison) -> list[Contrast]:
    """Return every norm's difference from the reference at each batch size, not adjusted yet."""
    empty = pd.Series(dtype=float)
    found = []
    for norm in comparison.distinct_norms[1:]:
        for size in comparison.batch_sizes:
            errors = comparison.get_errors(size)
            difference = compute_difference(
                errors.get(norm, empty), errors.get(comparison.reference, empty)
            )
            found.append(build_seed_contrast(norm, size, difference))
    return found


def build_seed_contrast(norm: str, batch_size: int, difference: Difference) -> Contrast:
    """Return the contrast of errors that a paired difference gives, not adjusted yet."""
    paired = difference.paired
    estimate = Estimate(paired.value, np.nan, np.nan, paired.num)
    if not np.isnan(paired.half_width):
        error = float(paired.sd / np.sqrt(paired.num))
        estimate = Estimate(paired.value, error, paired.num - 1.0, paired.num)
    return Contrast(norm, Measure.ERROR, batch_size, estimate, difference)
