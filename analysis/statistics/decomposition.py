"""BatchNorm decomposed: the same training, tested with each kind of test statistics.

What training with small batches harms shows under every kind; what only the moving averages
harm at test time goes away when the statistics are recomputed over large training batches.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import pandas as pd

from analysis.schema import STATISTICS, recorded
from analysis.statistics.comparison import Comparison
from analysis.statistics.inference.differences import difference
from analysis.statistics.inference.intervals import Mean, t_interval

_OPTION = re.compile(rf"\b(?:eval_statistics)=['\"]?({'|'.join(STATISTICS)})['\"]?,? ?")


@dataclass(frozen=True)
class Decomposed:
    """A norm at a batch size under each kind of test statistics it has.

    `errors` holds by kind each seed's error, percent; trials of the seeds `diverged` have chance
    error under every kind.
    """

    norm: str
    batch_size: int
    errors: Mapping[str, pd.Series[Any]]
    diverged: frozenset[int]

    @cached_property
    def means(self) -> dict[str, Mean]:
        """Mean error by kind, percent."""
        return {kind: t_interval(found.to_numpy(float)) for kind, found in self.errors.items()}

    @cached_property
    def harm(self) -> Mean | None:
        """Moving averages' error minus the recomputed ones', points, paired by seed.

        Only seeds that did not diverge tell: chance minus chance is no harm at test time. None
        where the norm lacks one of the two.
        """
        if not {"ema", "precise"} <= set(self.errors):
            return None
        lost = list(self.diverged)
        ema, precise = (self.errors[kind].drop(lost, errors="ignore") for kind in STATISTICS[:2])
        return difference(ema, precise).paired


def decomposed(comparison: Comparison) -> dict[str, tuple[Decomposed, ...]]:
    """Per norm tested in more than one way its batch sizes, from large to small."""
    found: dict[str, dict[str, pd.DataFrame]] = {}
    for norm, kind, rows in _kinds(comparison):
        found.setdefault(norm, {}).setdefault(kind, rows)
    return {
        norm: tuple(_cells(norm, by_kind, comparison.batch_sizes))
        for norm, by_kind in found.items()
        if len(by_kind) > 1
    }


def family(norm: str) -> tuple[str, str]:
    """A norm's label without its test statistics, and which these are (`ema` by default)."""
    found = _OPTION.search(norm)
    rest = _OPTION.sub("", norm).replace("()", "").replace(", )", ")")
    return rest, found.group(1) if found else "ema"


def _kinds(comparison: Comparison) -> Iterator[tuple[str, str, pd.DataFrame]]:
    """Norm, kind and trials with their `error`, as recorded side by side or by the norm's label.

    A norm offers the kinds that some trial of it has recorded; a diverged trial may have none.
    """
    for norm in comparison.norms:
        rows = comparison.scored[comparison.scored["norm"] == norm]
        there = recorded(rows)
        names = {kind: f"test_error_{kind}" for kind in STATISTICS}
        names = {kind: name for kind, name in names.items() if name in there}
        for kind, name in names.items():
            yield norm, kind, rows.assign(error=rows[name].mask(rows["diverged"], rows["error"]))
        if not names:
            yield *family(norm), rows


def _cells(
    norm: str, by_kind: Mapping[str, pd.DataFrame], batch_sizes: tuple[int, ...]
) -> Iterator[Decomposed]:
    for size in batch_sizes:
        cell = {kind: rows[rows["batch_size"] == size] for kind, rows in by_kind.items()}
        cell = {kind: rows.dropna(subset=["error"]) for kind, rows in cell.items()}
        errors = {kind: rows.set_index("seed")["error"] for kind, rows in cell.items() if len(rows)}
        diverged = {int(s) for rows in cell.values() for s in rows.loc[rows["diverged"], "seed"]}
        if errors:
            yield Decomposed(norm, size, errors, frozenset(diverged))
