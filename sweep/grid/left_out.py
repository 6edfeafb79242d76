"""Cells that a grid crosses and does not train, with the reason: for the report to name."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from sweep.grid.expand import GridTrial
from sweep.grid.factors import Factors
from sweep.grid.variant import Variant

MAX_REASON_LENGTH = 1000
EXCLUDED = "excluded by the grid"


@dataclass(frozen=True)
class LeftOut:
    """A norm at some batch sizes, of one variant, that is not trained, and why not."""

    norm: str
    variant: Variant
    batch_sizes: tuple[int, ...]
    why: str


def find_excluded_cells(factors: Factors, trials: Iterable[GridTrial]) -> tuple[LeftOut, ...]:
    """Return the cells that the factors make but of which the grid excludes every trial."""
    kept = {(trial.norm, trial.variant, trial.spec.batch_size) for trial in trials}
    crossed = {(c.norm.label, c.variant, c.batch_size): EXCLUDED for c in factors.cross()}
    return _group_by_reason((*cell, why) for cell, why in crossed.items() if cell not in kept)


def group_infeasible_cells(reasons: Iterable[tuple[GridTrial, str]]) -> tuple[LeftOut, ...]:
    """Return the cells of the trials that cannot be trained, each with its reason."""
    return _group_by_reason((t.norm, t.variant, t.spec.batch_size, why) for t, why in reasons)


def left_out_as_json(left_out: Iterable[LeftOut]) -> list[dict[str, Any]]:
    """Return cells that are left out as plain data, reasons cut to a tag's length."""
    return [
        {
            "norm": item.norm,
            "variant": str(item.variant),
            "batch_sizes": item.batch_sizes,
            "why": item.why[:MAX_REASON_LENGTH],
        }
        for item in left_out
    ]


def _group_by_reason(cells: Iterable[tuple[str, Variant, int, str]]) -> tuple[LeftOut, ...]:
    """Return one item for each norm, variant and reason, however many batch sizes it concerns."""
    sizes: dict[tuple[str, Variant, str], dict[int, None]] = {}
    for norm, variant, size, why in cells:
        sizes.setdefault((norm, variant, why), {})[size] = None
    return tuple(
        LeftOut(norm, variant, tuple(found), why) for (norm, variant, why), found in sizes.items()
    )
