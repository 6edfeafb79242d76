"""A cell: one norm at one batch size."""

from __future__ import annotations

from dataclasses import dataclass

from analysis.statistics.inference.intervals import SeedMean


@dataclass(frozen=True)
class Cell:
    """A norm at a batch size: its expected seeds, their outcomes, and its mean error (percent)."""

    norm: str
    batch_size: int
    seeds: tuple[int, ...]
    ended: tuple[int, ...]
    diverged: tuple[int, ...]
    error: SeedMean
    survivors: SeedMean

    @property
    def missing(self) -> tuple[int, ...]:
        """Expected seeds without a result."""
        return tuple(seed for seed in self.seeds if seed not in self.ended)
