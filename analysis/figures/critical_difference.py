"""Figure of mean ranks over data sets and networks; a bar joins norms that are not separated."""

from __future__ import annotations

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from analysis.figures.norm_labels import make_figure_labels
from analysis.figures.style import MUTED_COLOUR, TEXT_COLOUR, open_figure
from analysis.statistics.ranks import Ranks

ALT = (
    "Critical-difference diagram: an axis of mean ranks with each norm at its own, and bars that "
    "join norms which are not distinguishable over the data sets and networks."
)


def draw_ranks(ranks: Ranks) -> Figure:
    """Return the figure of mean ranks, best on the left; half the names are on each side."""
    names = make_figure_labels(list(ranks.mean))
    half = -(-len(names) // 2)
    with open_figure(7.2, 0.9 + 0.2 * len(ranks.groups) + 0.26 * half) as figure:
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
                ends,
                [0.5 + 0.5 * place] * 2,
                color=TEXT_COLOUR,
                linewidth=3.5,
                solid_capstyle="butt",
            )
        for place, (name, rank) in enumerate(zip(names, ranks.mean.values(), strict=True)):
            left = place < half
            row = place if left else len(names) - 1 - place
            _draw_name(axes, name, rank, depth + 0.8 * row + 0.3, left)
        return figure


def _draw_name(axes: Axes, name: str, rank: float, row: float, left: bool) -> None:
    """Draw a norm's name and rank at one side, with a line to its place on the axis."""
    end = axes.get_xlim()[0 if left else 1]
    axes.plot([rank, rank, end], [0, row, row], color=MUTED_COLOUR, linewidth=0.8)
    axes.text(
        end,
        row,
        f"{name}  {rank:.2f} " if left else f" {rank:.2f}  {name}",
        ha="right" if left else "left",
        va="center",
    )
