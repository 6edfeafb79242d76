"""Printed figures against measured ones: one run without error bars beside a mean over seeds."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from analysis.published.matching_values import printed_norm
from analysis.published.printed_values import Measure, Published
from analysis.statistics.comparison import Comparison
from analysis.statistics.inference.intervals import SeedMean, estimate_mean

NONE = SeedMean(np.nan, np.nan, np.nan, 0)


@dataclass(frozen=True)
class Against:
    """A printed figure (one or more tables agree on it) and what trials of `norm` measured.

    `measured` is missing where trials ended without the measure, `reached` of `ended` have it.
    """

    norm: str
    batch_size: int
    measure: Measure
    tables: tuple[str, ...]
    printed: float
    about: bool
    measured: SeedMean
    reached: int
    ended: int

    @property
    def difference(self) -> float:
        """Measured minus printed."""
        return self.measured.value - self.printed

    @property
    def one_run(self) -> float:
        """Half the width of the 95 % interval of one further run: what the printed one is.

        The mean's, widened for a new draw by the square root of the number of seeds plus one.
        """
        return float(self.measured.half_width * np.sqrt(self.measured.num + 1))

    @property
    def inside_mean(self) -> bool | None:
        """Whether the printed figure lies in the mean's interval; None where not to be said."""
        return self._inside(self.measured.half_width)

    @property
    def inside_run(self) -> bool | None:
        """Whether it lies where one further run would in 95 of 100 cases; None as above."""
        return self._inside(self.one_run)

    def _inside(self, half_width: float) -> bool | None:
        if self.about or np.isnan(half_width):
            return None
        return abs(self.difference) <= half_width


def against(
    published: Sequence[Published],
    comparison: Comparison,
    by_top5: Comparison | None,
    times: pd.DataFrame | None,
) -> tuple[Against, ...]:
    """Every figure of `published` beside what was measured, by measure, norm and batch size.

    `by_top5` has top-5 errors as its errors; `times` the epochs to the printed threshold. A figure
    whose measure nobody recorded is left out.
    """
    return tuple(_pairs(published, comparison, by_top5, times))


def _pairs(
    published: Sequence[Published],
    comparison: Comparison,
    by_top5: Comparison | None,
    times: pd.DataFrame | None,
) -> Iterator[Against]:
    sources = {"test_error": comparison, "test_top5_error": by_top5, "epochs_to_threshold": times}
    for measure, source in sources.items():
        if source is None:
            continue
        for norm, size in comparison.cells:
            known = [
                item
                for item in published
                if (item.measure, item.norm, item.batch_size) == (measure, printed_norm(norm), size)
            ]
            for value in dict.fromkeys(item.value for item in known):
                same = [item for item in known if item.value == value]
                tables = tuple(sorted(item.table for item in same))
                yield Against(
                    norm,
                    size,
                    same[0].measure,
                    tables,
                    value,
                    same[0].about,
                    *_measured(source, norm, size),
                )


def _measured(source: Comparison | pd.DataFrame, norm: str, size: int) -> tuple[SeedMean, int, int]:
    """A cell's mean, and of how many trials that ended it is; none if one lacks the threshold."""
    if isinstance(source, Comparison):
        cell = source.cells[norm, size]
        return cell.error, len(cell.ended), len(cell.ended)
    rows = source[(source["norm"] == norm) & (source["batch_size"] == size)]
    reached = int(rows["reached"].sum())
    whole = reached == len(rows) > 0
    mean = estimate_mean(rows["epochs"].to_numpy(float)) if whole else NONE
    return mean, reached, len(rows)
