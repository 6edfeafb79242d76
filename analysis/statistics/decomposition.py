"""BatchNorm decomposed: one training, tested with each kind of test statistics.

Harm of training with small batches shows under every kind; harm of the moving averages at test time
disappears when the statistics are recomputed over large training batches.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import pandas as pd

from analysis.schema import STATISTICS_KINDS, drop_unrecorded
from analysis.statistics.comparison import Comparison
from analysis.statistics.inference.differences import compute_difference
from analysis.statistics.inference.intervals import SeedMean, estimate_mean

_OPTION = re.compile(rf"\b(?:eval_statistics)=['\"]?({'|'.join(STATISTICS_KINDS)})['\"]?,? ?")


@dataclass(frozen=True)
class DecomposedCell:
    """A norm at a batch size under each kind of test statistics that was recorded.

    `errors` holds by kind each seed's error, percent; trials of the seeds `diverged` have chance
    error under every kind.
    """

    norm: str
    batch_size: int
    errors: Mapping[str, pd.Series[Any]]
    diverged: frozenset[int]

    @cached_property
    def means(self) -> dict[str, SeedMean]:
        """Mean error by kind, percent."""
        return {kind: estimate_mean(found.to_numpy(float)) for kind, found in self.errors.items()}

    @cached_property
    def moving_average_harm(self) -> SeedMean | None:
        """Error with moving averages minus with recomputed statistics, points, paired by seed.

        Seeds that diverged are left out: chance minus chance is no harm at test time. None where
        the norm lacks one of the two kinds.
        """
        if not {"ema", "precise"} <= set(self.errors):
            return None
        lost = list(self.diverged)
        ema, precise = (
            self.errors[kind].drop(lost, errors="ignore") for kind in STATISTICS_KINDS[:2]
        )
        return compute_difference(ema, precise).paired


def decompose_norms(comparison: Comparison) -> dict[str, tuple[DecomposedCell, ...]]:
    """Return for each norm tested with several kinds of statistics its cells, from large batch to
    small.
    """
    found: dict[str, dict[str, pd.DataFrame]] = {}
    for norm, kind, rows in _list_kinds(comparison):
        found.setdefault(norm, {}).setdefault(kind, rows)
    return {
        norm: tuple(_build_cells(norm, by_kind, comparison.batch_sizes))
        for norm, by_kind in found.items()
        if len(by_kind) > 1
    }


def split_statistics_option(norm: str) -> tuple[str, str]:
    """Return a norm's label without its test statistics, and their kind (`ema` by default)."""
    found = _OPTION.search(norm)
    rest = _OPTION.sub("", norm).replace("()", "").replace(", )", ")")
    return rest, found.group(1) if found else "ema"


def _list_kinds(comparison: Comparison) -> Iterator[tuple[str, str, pd.DataFrame]]:
    """Yield norm, kind and trials with their `error`, by recorded columns or by the norm's label.

    A norm has the kinds that some trial of it has recorded; a diverged trial may have none.
    """
    for norm in comparison.norms:
        rows = comparison.scored[comparison.scored["norm"] == norm]
        there = drop_unrecorded(rows)
        names = {kind: f"test_error_{kind}" for kind in STATISTICS_KINDS}
        names = {kind: name for kind, name in names.items() if name in there}
        for kind, name in names.items():
            yield norm, kind, rows.assign(error=rows[name].mask(rows["diverged"], rows["error"]))
        if not names:
            yield *split_statistics_option(norm), rows


def _build_cells(
    norm: str, by_kind: Mapping[str, pd.DataFrame], batch_sizes: tuple[int, ...]
) -> Iterator[DecomposedCell]:
    """Yield the decomposed cells of a norm, from large batch to small."""
    for size in batch_sizes:
        cell = {kind: rows[rows["batch_size"] == size] for kind, rows in by_kind.items()}
        cell = {kind: rows.dropna(subset=["error"]) for kind, rows in cell.items()}
        errors = {kind: rows.set_index("seed")["error"] for kind, rows in cell.items() if len(rows)}
        diverged = {int(s) for rows in cell.values() for s in rows.loc[rows["diverged"], "seed"]}
        if errors:
            yield DecomposedCell(norm, size, errors, frozenset(diverged))
