"""Mean ranks over data sets and networks; a bar joins norms that are not distinguishable."""

from __future__ import annotations

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from analysis.figures.norm_labels import drawn_names
from analysis.figures.style import INK, SOFT, sheet
from analysis.statistics.ranks import Ranks

ALT = (
    "Critical-difference diagram: an axis of mean ranks with each norm at its own, and bars that "
    "join norms which are not distinguishable over the data sets and networks."
)


def draw(ranks: Ranks) -> Figure:
    """Mean ranks, best on the left; half the names are led to each side."""
    names = drawn_names(list(ranks.mean))
    half = -(-len(names) // 2)
    with sheet(7.2, 0.9 + 0.2 * len(ranks.groups) + 0.26 * half) as figure:
        axes = figure.add_subplot()
        axes.xaxis.set_ticks_position("top")
        axes.spines["top"].set_visible(True)
        for side in ("left", "bottom"):
            axes.spines[side].set_visible(False)
        axes.set_yticks([])
        axes.set_xlim(0.6, len(names) + 0.4)
        axes.set_xticks(range(1, len(names) + 1))
        depth = 0.6 + 0.5 * len(ranks.groups)
        axes.set_ylim(depth + 0.8 * half + 0.3, 0)
        for place, group in enumerate(ranks.groups):
            ends = [ranks.mean[group[0]] - 0.04, ranks.mean[group[-1]] + 0.04]
            axes.plot(
                ends, [0.5 + 0.5 * place] * 2, color=INK, linewidth=3.5, solid_capstyle="butt"
            )
        for place, (name, rank) in enumerate(zip(names, ranks.mean.values(), strict=True)):
            left = place < half
            row = place if left else len(names) - 1 - place
            _leader(axes, name, rank, depth + 0.8 * row + 0.3, left)
        return figure


def _leader(axes: Axes, name: str, rank: float, row: float, left: bool) -> None:
    end = axes.get_xlim()[0 if left else 1]
    axes.plot([rank, rank, end], [0, row, row], color=SOFT, linewidth=0.8)
    axes.text(
        end,
        row,
        f"{name}  {rank:.2f} " if left else f" {rank:.2f}  {name}",
        ha="right" if left else "left",
        va="center",
    )
