"""A cell: one norm at one batch size."""

from __future__ import annotations

from dataclasses import dataclass

from analysis.statistics.inference.intervals import Mean


@dataclass(frozen=True)
class Cell:
    """A norm at a batch size: what was asked for, how it ended, and its mean error (percent)."""

    norm: str
    batch_size: int
    seeds: tuple[int, ...]
    ended: tuple[int, ...]
    diverged: tuple[int, ...]
    error: Mean
    survivors: Mean

    @property
    def missing(self) -> tuple[int, ...]:
        """Seeds asked for that have no result."""
        return tuple(seed for seed in self.seeds if seed not in self.ended)
