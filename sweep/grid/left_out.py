"""Cells that a grid crosses and does not train, with the reason: for the report to name."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any

from sweep.grid.expand import GridTrial
from sweep.grid.factors import REQUIRED, Factors
from sweep.grid.rules import format_level

LONGEST_REASON = 1000
EXCLUDED = "excluded by the grid"


@dataclass(frozen=True)
class LeftOut:
    """A norm at some batch sizes, of one variant, that is not trained, and why not."""

    norm: str
    variant: str
    batch_sizes: tuple[int, ...]
    why: str


def excluded(factors: Factors, trials: Iterable[GridTrial]) -> tuple[LeftOut, ...]:
    """The cells that the `factors` cross and of which no trial is among the grid's `trials`."""
    kept = {(trial.norm, trial.variant, trial.spec.batch_size) for trial in trials}
    crossed = {}
    for norm, levels in factors.cells():
        further = (f"{k}={format_level(v)}" for k, v in levels.items() if k not in REQUIRED)
        crossed[norm.label, ", ".join(further), levels["batch_size"]] = EXCLUDED
    return _grouped((*cell, why) for cell, why in crossed.items() if cell not in kept)


def infeasible(reasons: Iterable[tuple[GridTrial, str]]) -> tuple[LeftOut, ...]:
    """The cells of the trials that cannot be trained, each with its reason."""
    return _grouped((t.norm, t.variant, t.spec.batch_size, why) for t, why in reasons)


def as_data(left_out: Iterable[LeftOut]) -> list[dict[str, Any]]:
    """Return cells that are left out as JSON holds them; a reason is as long as a tag takes."""
    return [{**asdict(item), "why": item.why[:LONGEST_REASON]} for item in left_out]


def _grouped(cells: Iterable[tuple[str, str, int, str]]) -> tuple[LeftOut, ...]:
    """One item for each norm, variant and reason, however many batch sizes it concerns."""
    sizes: dict[tuple[str, str, str], dict[int, None]] = {}
    for norm, variant, size, why in cells:
        sizes.setdefault((norm, variant, why), {})[size] = None
    return tuple(
        LeftOut(norm, variant, tuple(found), why) for (norm, variant, why), found in sizes.items()
    )
