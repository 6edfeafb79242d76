"""Where a grid's reference is not trained, and comparisons lose what they compare with."""

from __future__ import annotations

from collections import defaultdict

from sweep.grid.model import Grid
from sweep.grid.variant import Variant


def missing_reference(grid: Grid) -> list[str]:
    """A line for the batch sizes at which other norms are trained and the reference is not."""
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
