"""Forest plot of each norm's level and robustness against the reference's."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from analysis.figures.style import (
    GRID_COLOUR,
    MUTED_COLOUR,
    TEXT_COLOUR,
    NormStyle,
    assign_styles,
    open_figure,
)
from analysis.findings import Findings
from analysis.formatting import choose_digits, format_number, format_p, format_signed
from analysis.statistics.inference.family import Contrast, Measure

ALT = (
    "Forest plot of each norm's difference from the reference in average error over batch sizes "
    "and in the rise of its error from the largest batch to the smallest, with simultaneous 95 % "
    "intervals and Holm-adjusted p; the zone taken to be no difference is shaded."
)
_LABELS = {
    Measure.LEVEL: ("lower error", "difference in AUEC (points)", "higher error"),
    Measure.ROBUSTNESS: ("rises less", "difference in rise D (points)", "rises more"),
}


def draw_forest(findings: Findings) -> Figure | None:
    """Return the figure of the declared contrasts, points, a panel each for level and robustness.

    Norms are in the order of their levels in both panels. None without any contrast.
    """
    comparison = findings.comparison
    panels = [
        [gap for gap in comparison.get_declared_contrasts(measure) if not np.isnan(gap.value)]
        for measure in (Measure.LEVEL, Measure.ROBUSTNESS)
    ]
    panels = [gaps for gaps in panels if gaps]
    if not panels:
        return None
    places = {gap.norm: gap.value for gaps in reversed(panels) for gap in gaps}
    height = 0.6 + sum(0.5 + 0.42 * len(gaps) for gaps in panels)
    with open_figure(7.2, height) as figure:
        grid = figure.subplots(
            len(panels), 1, squeeze=False, height_ratios=[len(gaps) for gaps in panels]
        )
        by_norm = assign_styles(comparison.norms)
        for axes, gaps in zip(grid.flat, panels, strict=True):
            ordered = sorted(gaps, key=lambda gap: places[gap.norm])
            _draw_panel(axes, ordered, by_norm, findings.margin, comparison.reference)
        return figure


def _draw_panel(
    axes: Axes,
    contrasts: Sequence[Contrast],
    by_norm: dict[str, NormStyle],
    margin: float,
    reference: str,
) -> None:
    """Draw the contrasts of one measure, one below the other."""
    axes.axvspan(-margin, margin, color="#ececec", linewidth=0, zorder=0)
    axes.axvline(0, color=MUTED_COLOUR, linewidth=0.9, zorder=1)
    for row, gap in enumerate(contrasts):
        _draw_contrast(axes, row, gap, by_norm[gap.norm].colour, by_norm[gap.norm].marker)
    axes.set_yticks(range(len(contrasts)), [by_norm[gap.norm].name for gap in contrasts])
    axes.set_ylim(len(contrasts) - 0.5, -0.5)
    axes.tick_params(axis="y", length=0)
    axes.spines["left"].set_visible(False)
    axes.grid(axis="x", color=GRID_COLOUR, linewidth=0.7)
    axes.set_axisbelow(True)
    below, what, above = _LABELS[contrasts[0].measure]
    axes.set_xlabel(f"← {below} than {by_norm[reference].name}      {what}      {above} →")


def _draw_contrast(axes: Axes, row: int, contrast: Contrast, colour: str, marker: str) -> None:
    """Draw one contrast with its interval and p."""
    axes.errorbar(
        contrast.value,
        row,
        xerr=np.nan_to_num(contrast.half_width),
        marker=marker,
        color=colour,
        markersize=7,
        elinewidth=1.6,
        linestyle="",
    )
    digits = choose_digits(contrast)
    text = f"{format_signed(contrast.value, digits)}   n = {contrast.num}"
    if not np.isnan(contrast.half_width):
        text = (
            f"{format_signed(contrast.value, digits)} ± "
            f"{format_number(contrast.half_width, digits)}   p {format_p(contrast.p_adjusted)}"
        )
    axes.text(
        1.02,
        row,
        text,
        transform=axes.get_yaxis_transform(),
        va="center",
        color=TEXT_COLOUR,
        fontsize=8.5,
    )
