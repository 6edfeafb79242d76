"""Draws the pictures of docs/measures.md: an invented sweep of two norms, and what is measured.

    python docs/measures/draw.py [FOLDER]

The numbers in the pictures come from `analysis.statistics.robustness`, as those of a report do.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from analysis.figures.rendering import rendered
from analysis.figures.style import GRID, INK, SOFT, Look, batch_size_axis, looks, sheet
from analysis.statistics.inference.intervals import compute_upper_bound
from analysis.statistics.robustness import (
    compute_auec,
    compute_degradation,
    compute_last_octave_slope,
    compute_regret,
    compute_safe_range,
    compute_slope,
    compute_worst_case,
    count_halvings,
)

SIZES = [64, 32, 16, 8, 4, 2]
MARGIN = 0.5
NORMS = ("steep", "flat")
LOOKS = looks(NORMS)


def errors(norm: str) -> pd.DataFrame:
    """Five seeds of a norm that is good and gets worse, or of one that stays as it is."""
    steps = count_halvings(SIZES)
    mean = {"steep": 6.0 + 0.12 * steps**2, "flat": 7.4 + 0.05 * steps}[norm]
    rng = np.random.default_rng(NORMS.index(norm) + 1)
    seeds = rng.normal(0, 0.2, (5, 1)) + rng.normal(0, 0.08, (5, len(SIZES)))
    return pd.DataFrame(mean + seeds, columns=SIZES)


TABLES = {norm: errors(norm) for norm in NORMS}


def axes_of(figure: Figure, label: str = "test error (%)") -> Axes:
    axes = figure.add_subplot()
    batch_size_axis(axes, SIZES)
    axes.set_ylabel(label)
    axes.grid(axis="y", color=GRID, linewidth=0.7)
    axes.set_axisbelow(True)
    return axes


def curve(axes: Axes, norm: str, *, named: bool = True) -> Look:
    """A norm's mean, and its seeds."""
    look, table = LOOKS[norm], TABLES[norm]
    for _, row in table.iterrows():
        axes.plot(SIZES, row, look.marker, color=look.colour, markersize=2.5, alpha=0.5)
    axes.plot(SIZES, table.mean(), color=look.colour, linestyle=look.dash, linewidth=1.8)
    if named:
        axes.annotate(
            norm,
            (2, table[2].mean()),
            (6, 0),
            textcoords="offset points",
            va="center",
            color=look.colour,
            annotation_clip=False,
        )
    return look


def note(axes: Axes, text: str, at: tuple[float, float], colour: str = INK) -> None:
    axes.text(*at, text, color=colour, fontsize=8.5, ha="center", va="center")


def draw_auec(figure: Figure) -> None:
    axes = axes_of(figure)
    axes.set_ylim(0, 10.5)
    look, value = curve(axes, "steep"), compute_auec(TABLES["steep"]).mean()
    axes.fill_between(SIZES, 0, TABLES["steep"].mean(), color=look.colour, alpha=0.13, linewidth=0)
    axes.hlines(value, 64, 2, color=INK, linewidth=1, linestyle=(0, (4, 2)))
    note(axes, f"the same area, level: AUEC {value:.1f} %", (11.3, value + 1.6))
    axes.annotate("", (11.3, value + 0.1), (11.3, value + 1.2), arrowprops={"arrowstyle": "->"})


def draw_slope(figure: Figure) -> None:
    axes = axes_of(figure)
    table, look = TABLES["steep"], curve(axes, "steep", named=False)
    rise, last = compute_slope(table).mean(), compute_last_octave_slope(table).mean()
    centre = count_halvings(SIZES).mean()
    line = table.mean().mean() + rise * (count_halvings(SIZES) - centre)
    axes.plot(SIZES, line, color=INK, linewidth=1, linestyle=(0, (4, 2)))
    axes.plot([4, 2], table[[4, 2]].mean(), color=look.colour, linewidth=4, alpha=0.5)
    note(axes, f"slope {rise:.2f} points\nper halving", (40, 7.3))
    note(axes, f"last octave {last:.2f}", (6, 8.8), look.colour)


def draw_safe_range(figure: Figure) -> None:
    axes = axes_of(figure, "D(b), points")
    for norm, shift in zip(NORMS, (1.03, 0.97), strict=True):
        costs, look = compute_degradation(TABLES[norm]), LOOKS[norm]
        upper = [compute_upper_bound(costs[size].to_numpy(float)) for size in SIZES[1:]]
        places = [size * shift for size in SIZES[1:]]
        means = costs.mean().to_list()[1:]
        axes.vlines(places, means, upper, color=look.colour, linewidth=1)
        axes.plot(places, upper, "_", color=look.colour)
        axes.plot([64 * shift, *places], [0, *means], look.marker, color=look.colour, markersize=4)
        octaves = compute_safe_range(TABLES[norm], MARGIN)
        place = {"steep": (16, 2.0), "flat": (4.5, -0.35)}[norm]
        note(axes, f"{norm}: safe range {octaves:g} octaves", place, look.colour)
    axes.set_ylim(-0.7, 3.5)
    axes.axhline(MARGIN, color=INK, linewidth=1, linestyle=(0, (4, 2)))
    axes.annotate("margin", (80, MARGIN), (0, 3), textcoords="offset points", fontsize=8.5)


def draw_worst_case(figure: Figure) -> None:
    axes = axes_of(figure)
    for norm in NORMS:
        look, worst = curve(axes, norm), compute_worst_case(TABLES[norm])
        place = TABLES[norm].mean().idxmax()
        axes.plot(place, worst, "o", markersize=11, fillstyle="none", color=look.colour)
        text = {"steep": (5.5, worst), "flat": (4, worst - 0.9)}[norm]
        note(axes, f"worst case {worst:.1f} %", text, look.colour)


def draw_regret(figure: Figure) -> None:
    axes = axes_of(figure)
    costs = compute_regret(TABLES)
    lowest = pd.DataFrame({norm: table.mean() for norm, table in TABLES.items()}).min(axis=1)
    for norm in NORMS:
        look = curve(axes, norm)
        axes.vlines(SIZES, lowest, TABLES[norm].mean(), color=look.colour, linewidth=3, alpha=0.35)
        text = f"{norm}: mean {costs.loc[norm].mean():.2f}, highest {costs.loc[norm].max():.2f}"
        note(axes, text, (11.3, {"steep": 9.2, "flat": 8.75}[norm]), look.colour)
    axes.plot(SIZES, lowest, color=SOFT, linewidth=1)


PICTURES: dict[str, Callable[[Figure], None]] = {
    "auec": draw_auec,
    "slope": draw_slope,
    "safe-range": draw_safe_range,
    "worst-case": draw_worst_case,
    "regret": draw_regret,
}


def main(folder: Path) -> None:
    """Write every picture as an SVG."""
    for name, draw in PICTURES.items():
        with sheet(4.2, 2.7) as figure:
            draw(figure)
            (folder / f"{name}.svg").write_bytes(rendered(figure, "svg"))


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parent)
