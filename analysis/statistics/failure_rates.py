"""How often a norm fails to learn at each batch size: it diverges, or ends at chance.

Where some seeds of a cell learn and others do not, its errors lie in two heaps. A mean difference
then says how many seeds fell into which heap, and its t interval means little: such cells are
compared by the rate of failure, with an exact test, one batch size at a time. Rates of different
batch sizes are never pooled: a trial is no more a draw from one rate than a norm has one.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import special

from analysis.statistics.at_chance import mark_at_chance
from analysis.statistics.comparison import Comparison
from analysis.statistics.inference.intervals import ROUNDING_TOLERANCE, estimate_proportion_interval


@dataclass(frozen=True)
class FailureRate:
    """Trials of one norm at one batch size that learnt nothing, out of those that ended.

    `diverged` counts those of `failed` that diverged; the others ended at chance. `p` is that of
    Fisher's exact test against the reference at this batch size; missing for the reference itself,
    and where no trial of either failed.
    """

    norm: str
    batch_size: int
    failed: int
    diverged: int
    ended: int
    p: float

    @property
    def interval(self) -> tuple[float, float]:
        """Clopper and Pearson's 95 % interval of the rate, as fractions."""
        return estimate_proportion_interval(self.failed, self.ended)

    @property
    def is_partial(self) -> bool:
        """Whether some seeds learnt and others did not."""
        return 0 < self.failed < self.ended


def compute_failure_rates(comparison: Comparison) -> dict[tuple[str, int], FailureRate]:
    """Return the failure rate of each cell with a result, by norm and batch size."""
    scored = comparison.scored
    failed = mark_at_chance(scored)
    groups = failed.groupby([scored["norm"], scored["batch_size"]]).agg(["sum", "count"])
    counts = {
        (str(norm), int(size)): (int(num_failed), int(ended))
        for (norm, size), num_failed, ended in zip(
            groups.index.to_list(), groups["sum"], groups["count"], strict=True
        )
    }
    found = {}
    for norm in comparison.norms:
        for size in comparison.batch_sizes:
            if (norm, size) not in counts:
                continue
            num_failed, ended = counts[norm, size]
            reference = counts.get((comparison.reference, size))
            p = np.nan
            if norm in comparison.distinct_norms[1:] and reference and num_failed + reference[0]:
                p = compute_fisher_p(num_failed, ended, *reference)
            diverged = comparison.cells[norm, size].diverged
            found[norm, size] = FailureRate(norm, size, num_failed, len(diverged), ended, p)
    return found


def compute_fisher_p(first: int, num_first: int, second: int, num_second: int) -> float:
    """Return the two-sided p of Fisher's exact test that two rates are equal.

    The sum of the probabilities of all tables with the same margins that are no more probable than
    the observed one.

    Args:
        first: events among `num_first` trials.
        num_first: trials of the one.
        second: events among `num_second` trials.
        num_second: trials of the other.

    >>> round(compute_fisher_p(3, 3, 0, 3), 3)
    0.1
    """
    total = first + second
    counts = np.arange(max(0, total - num_second), min(total, num_first) + 1)
    logs = _log_choose(num_first, counts) + _log_choose(num_second, total - counts)
    probabilities = np.exp(logs - _log_choose(num_first + num_second, np.array(total)))
    observed = probabilities[counts == first][0]
    as_extreme = probabilities <= observed * (1 + ROUNDING_TOLERANCE)
    return float(min(1.0, probabilities[as_extreme].sum()))


def _log_choose(num: int, chosen: np.typing.NDArray[np.int_]) -> np.typing.NDArray[np.float64]:
    """Return the logarithm of the binomial coefficient."""
    found: np.typing.NDArray[np.float64] = (
        special.gammaln(num + 1) - special.gammaln(chosen + 1) - special.gammaln(num - chosen + 1)
    )
    return found
