"""What moved between two sweeps: a row per norm and batch size."""

from __future__ import annotations

import numpy as np
from matplotlib.figure import Figure

from analysis.figures.style import GRID, INK, SOFT, looks, sheet
from analysis.statistics.sweep_changes import SweepChanges

ALT = (
    "Differences in test error between two sweeps, after minus before, one row per norm and batch "
    "size with 95 % intervals; the table of changes gives the same numbers."
)


def draw(changes: SweepChanges) -> Figure:
    """After minus before (percentage points), every norm's AUEC first, then its batch sizes."""
    norms = list(dict.fromkeys(change.norm for change in changes.changes))
    by_norm = looks(norms)
    rows = sorted(
        changes.changes,
        key=lambda c: (norms.index(c.norm), c.batch_size is not None, -(c.batch_size or 0)),
    )
    with sheet(7.2, 0.9 + 0.24 * len(rows)) as figure:
        axes = figure.add_subplot()
        axes.axvline(0, color=SOFT, linewidth=0.9, zorder=0)
        for place, change in enumerate(rows):
            look = by_norm[change.norm]
            axes.errorbar(
                change.difference.value,
                place,
                xerr=np.nan_to_num(change.difference.half_width),
                marker=look.marker,
                color=look.colour,
                markerfacecolor=look.colour if change.is_significant else "white",
                markersize=6,
                elinewidth=1.2,
                linestyle="",
            )
        sizes = ["AUEC" if c.batch_size is None else str(c.batch_size) for c in rows]
        names = [f"{by_norm[c.norm].name}  {s}" for c, s in zip(rows, sizes, strict=True)]
        axes.set_yticks(range(len(rows)), names)
        axes.set_ylim(len(rows) - 0.5, -0.5)
        axes.tick_params(axis="y", length=0)
        axes.spines["left"].set_visible(False)
        axes.grid(axis="x", color=GRID, linewidth=0.7)
        axes.set_axisbelow(True)
        axes.set_xlabel(
            "← lower after      after minus before (points)      higher after →", color=INK
        )
        return figure
