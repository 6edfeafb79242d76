"""Warnings of batch sizes at which a grid does not train its reference norm."""

from __future__ import annotations

from collections import defaultdict

from sweep.grid.model import Grid
from sweep.grid.variant import Variant


def missing_reference_warnings(grid: Grid) -> list[str]:
    """Return warnings of batch sizes at which other norms are trained, but not the reference."""
    norms: dict[tuple[Variant, int], set[str]] = defaultdict(set)
    for trial in grid.trials:
        norms[trial.variant, trial.spec.batch_size].add(trial.norm)
    sizes: dict[Variant, list[int]] = defaultdict(list)
    for (variant, size), found in norms.items():
        if grid.reference is not None and grid.reference not in found:
            sizes[variant].append(size)
    return [
        f"the reference {grid.reference} has no trial at batch size "
        f"{', '.join(map(str, found))}{f' ({variant})' if variant else ''}: nothing is compared "
        f"with it there"
        for variant, found in sizes.items()
    ]
