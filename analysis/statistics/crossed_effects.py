"""Uncertainty over seeds and test examples together, as crossed random effects.

Seeds are one source of chance, the choice of test examples another, which more seeds do not reduce.
Norms share the test set, so a difference is taken example by example: for one norm against another,
`d[s, i]` is the difference in being wrong on example i under seed s, averaged over batch sizes as
AUEC averages errors. Seeds and examples are crossed random effects, and the mean squares of this
two-way table give the variance of the mean due to each.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy import special

from analysis.statistics.comparison import Comparison
from analysis.statistics.inference.intervals import CONFIDENCE, MIN_SEEDS, ROUNDING_TOLERANCE
from analysis.statistics.robustness import compute_auec

Floats = npt.NDArray[np.float64]
PackedBits = npt.NDArray[np.uint8]
MIN_EXAMPLES = 30


@dataclass(frozen=True)
class CrossedMean:
    """A difference in error (points) over seeds and test examples, with three half-widths (95 %).

    `over_seeds` is for new seeds on this test set, `over_examples` for these networks on a new test
    set of `num_examples`, `over_both` for new seeds on a new test set. The first and the last are
    missing below three seeds.
    """

    value: float
    over_seeds: float
    over_examples: float
    over_both: float
    num_seeds: int
    num_examples: int


def estimate_crossed_mean(differences: Floats) -> CrossedMean:
    """Return the mean of `differences`, shape `(num_seeds, num_examples)`, as crossed random
    effects.

    The variance of the mean is `MS_seeds / (S n) + MS_examples / (S n) - MS_rest / (S n)`, with the
    mean squares of a two-way layout without replication (Searle, Casella and McCulloch 1992,
    chapter 4), its degrees of freedom are Satterthwaite's (1946), and its interval is never
    narrower than that of either source alone.
    """
    seeds, examples = differences.shape
    value = float(differences.mean())
    by_example, by_seed = differences.mean(axis=0), differences.mean(axis=1)
    of_examples = float(by_example.var(ddof=1) / examples)
    half_examples = _compute_half_width(of_examples, examples - 1)
    if seeds < MIN_SEEDS:
        return CrossedMean(value, np.nan, half_examples, np.nan, seeds, examples)
    of_seeds = float(by_seed.var(ddof=1) / seeds)
    rest = differences - by_seed[:, None] - by_example + value
    of_rest = float((rest**2).sum() / ((seeds - 1) * (examples - 1)) / (seeds * examples))
    total = max(of_seeds + of_examples - of_rest, of_seeds, of_examples)
    spread = of_seeds**2 / (seeds - 1) + of_examples**2 / (examples - 1)
    if of_seeds <= ROUNDING_TOLERANCE**2 or spread == 0:
        return CrossedMean(value, np.nan, half_examples, np.nan, seeds, examples)
    half_seeds = _compute_half_width(of_seeds, seeds - 1)
    both = max(_compute_half_width(total, total**2 / spread), half_seeds, half_examples)
    return CrossedMean(value, half_seeds, half_examples, both, seeds, examples)


def _compute_half_width(variance: float, df: float) -> float:
    """Return half the width of the 95 % t interval with this variance of the mean and `df`."""
    return float(special.stdtrit(df, (1 + CONFIDENCE) / 2) * np.sqrt(variance))


def estimate_crossed_contrasts(
    comparison: Comparison, correct: Mapping[str, PackedBits]
) -> dict[str, CrossedMean]:
    """Return per norm its AUEC minus the reference's over seeds and test examples, in points.

    Seeds enter that have the correct examples at every batch size under both norms; a diverged
    trial is wrong with the probability of guessing. A norm without such seeds is left out.

    Args:
        comparison: the norms.
        correct: by trial id which test examples were right, packed.
    """
    examples = get_test_set_size(comparison)
    if examples < MIN_EXAMPLES or not correct:
        return {}
    first, *others = (
        _average_wrong_by_seed(comparison, norm, correct) for norm in comparison.norms
    )
    found: dict[str, CrossedMean] = {}
    for norm, wrong in zip(comparison.norms[1:], others, strict=True):
        rows = [wrong[seed] - first[seed] for seed in sorted(wrong.keys() & first.keys())]
        if rows:
            found[norm] = estimate_crossed_mean(100 * np.stack(rows))
    return found


def get_test_set_size(comparison: Comparison) -> int:
    """Return the size of the test set that all trials share; 0 where unknown or different."""
    sizes = set(comparison.scored["num_test"].dropna())
    return int(sizes.pop()) if len(sizes) == 1 else 0


def _average_wrong_by_seed(
    comparison: Comparison, norm: str, correct: Mapping[str, PackedBits]
) -> dict[int, Floats]:
    """Return by seed the probability of being wrong on each example, averaged as AUEC.

    Seeds without the correct examples at some batch size are left out.
    """
    sizes = list(comparison.common_batch_sizes)
    if not sizes:
        return {}
    weights = compute_auec(pd.DataFrame(np.eye(len(sizes)), columns=sizes)).to_numpy(float)
    examples = get_test_set_size(comparison)
    rows = comparison.scored[comparison.scored["norm"] == norm]
    columns = ("batch_size", "seed", "trial_id", "error", "diverged")
    found = {
        (int(size), int(seed)): np.full(examples, error / 100)
        if diverged
        else _unpack_wrong(correct.get(trial_id), examples, error)
        for size, seed, trial_id, error, diverged in zip(*(rows[c] for c in columns), strict=True)
    }
    averaged: dict[int, Floats] = {}
    for seed in {seed for _, seed in found}:
        parts = [found.get((size, seed)) for size in sizes]
        known = [part for part in parts if part is not None]
        if known and len(known) == len(parts):
            averaged[seed] = weights @ np.stack(known)
    return averaged


def _unpack_wrong(packed: PackedBits | None, examples: int, error: float) -> Floats | None:
    """Return 1 where wrong, else 0; None without a file, or if its length or error disagrees."""
    if packed is None or len(packed) != -(-examples // 8):
        return None
    wrong = (1 - np.unpackbits(packed, count=examples)).astype(np.float64)
    return wrong if abs(100 * wrong.mean() - error) < 50 / examples else None
