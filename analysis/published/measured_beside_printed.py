"""Printed values beside measured ones: one run without error bars beside a mean over seeds."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from analysis.published.matching_values import simplify_norm_label
from analysis.published.printed_values import Measure, PublishedValue
from analysis.statistics.comparison import Comparison
from analysis.statistics.inference.intervals import SeedMean, estimate_mean

MISSING_MEAN = SeedMean(np.nan, np.nan, np.nan, 0)


@dataclass(frozen=True)
class PublishedPair:
    """A printed value of one or more tables, and the measured value of `norm`.

    `measured` is missing where trials ended without the measure; `reached` of `ended` have it.
    """

    norm: str
    batch_size: int
    measure: Measure
    tables: tuple[str, ...]
    printed: float
    is_approximate: bool
    measured: SeedMean
    reached: int
    ended: int

    @property
    def difference(self) -> float:
        """Measured minus printed."""
        return self.measured.value - self.printed

    @property
    def run_half_width(self) -> float:
        """Half the width of the 95 % interval of one further run, as the printed value is one.

        The interval of the mean, widened by the square root of the number of seeds plus one.
        """
        return float(self.measured.half_width * np.sqrt(self.measured.num + 1))

    @property
    def is_in_mean_interval(self) -> bool | None:
        """Whether the printed value lies in the mean's interval; None where unknown."""
        return self._is_within(self.measured.half_width)

    @property
    def is_in_run_interval(self) -> bool | None:
        """Whether the printed value lies in the interval of one further run; None where unknown."""
        return self._is_within(self.run_half_width)

    def _is_within(self, half_width: float) -> bool | None:
        """Return whether the difference is at most `half_width`; None where unknown."""
        if self.is_approximate or np.isnan(half_width):
            return None
        return abs(self.difference) <= half_width


def pair_published_values(
    published: Sequence[PublishedValue],
    comparison: Comparison,
    by_top5: Comparison | None,
    times: pd.DataFrame | None,
) -> tuple[PublishedPair, ...]:
    """Return every published value with a measured one, by measure, norm and batch size.

    A value whose measure no trial recorded is left out.

    Args:
        published: printed values.
        comparison: the measured norms.
        by_top5: the comparison by top-5 error.
        times: epochs to the printed threshold.
    """
    return tuple(_list_pairs(published, comparison, by_top5, times))


def _list_pairs(
    published: Sequence[PublishedValue],
    comparison: Comparison,
    by_top5: Comparison | None,
    times: pd.DataFrame | None,
) -> Iterator[PublishedPair]:
    """Yield the pairs by measure, norm and batch size."""
    sources = {"test_error": comparison, "test_top5_error": by_top5, "epochs_to_threshold": times}
    for measure, source in sources.items():
        if source is None:
            continue
        for norm, size in comparison.cells:
            known = [
                item
                for item in published
                if (item.measure, item.norm, item.batch_size)
                == (measure, simplify_norm_label(norm), size)
            ]
            for value in dict.fromkeys(item.value for item in known):
                same = [item for item in known if item.value == value]
                tables = tuple(sorted(item.table for item in same))
                yield PublishedPair(
                    norm,
                    size,
                    same[0].measure,
                    tables,
                    value,
                    same[0].is_approximate,
                    *_measure_cell(source, norm, size),
                )


def _measure_cell(
    source: Comparison | pd.DataFrame, norm: str, size: int
) -> tuple[SeedMean, int, int]:
    """Return a cell's mean, how many of its ended trials have a value, and how many ended.

    From a `Comparison` the mean is of the error. From a frame of times it is of the epochs to the
    threshold, and is missing if a trial did not reach the threshold.
    """
    if isinstance(source, Comparison):
        cell = source.cells[norm, size]
        return cell.error, len(cell.ended), len(cell.ended)
    rows = source[(source["norm"] == norm) & (source["batch_size"] == size)]
    reached = int(rows["reached"].sum())
    whole = reached == len(rows) > 0
    mean = estimate_mean(rows["epochs"].to_numpy(float)) if whole else MISSING_MEAN
    return mean, reached, len(rows)
