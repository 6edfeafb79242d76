"""Heat map of degradation: what each smaller batch costs each norm."""

from __future__ import annotations

from dataclasses import dataclass
from math import inf

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure

from analysis.figures.style import MUTED_COLOUR, TEXT_COLOUR, assign_styles, open_figure
from analysis.findings import Findings
from analysis.formatting import format_difference, format_half_width
from analysis.statistics.inference.intervals import SeedMean, estimate_mean
from analysis.statistics.robustness import compute_degradation, tabulate_norm_errors

ALT = (
    "Heat map of the rise in test error over the largest batch size, one row per norm ordered by "
    "its average error, one column per batch size; each field prints the rise and its half-width."
)


@dataclass(frozen=True)
class FieldLayout:
    """Layout of the numbers printed in the map's cells, for at most `most` columns.

    `height` is in inches per row, `between` separates the number from its half-width, `size` is in
    points, `rotation` in degrees.
    """

    most: float
    height: float
    between: str
    size: float
    rotation: int = 0


_LAYOUTS = (
    FieldLayout(5, 0.38, " ", 9),
    FieldLayout(12, 0.46, "\n", 7.5),
    FieldLayout(inf, 0.85, " ", 6, 90),
)
# Blue is lower than at the largest batch, brown higher; both darken away from 0.
_COLOUR_MAP = LinearSegmentedColormap.from_list(
    "rise", ["#123a5e", "#4a8ab8", "#c5dcec", "#ffffff", "#f6d9b8", "#d9793b", "#6d2410"]
)
MIN_COLOUR_RANGE = 0.5


def draw_degradation_map(findings: Findings) -> Figure | None:
    """Return the figure of `D(b)` (points) by norm and batch size; None with one batch size."""
    comparison = findings.comparison
    sizes = comparison.batch_sizes
    if len(sizes) < 2:
        return None
    level = {norm: found.auec.value for norm, found in findings.measures.items()}
    norms = sorted(
        comparison.norms, key=lambda norm: (np.isnan(level.get(norm, np.nan)), level.get(norm, 0.0))
    )
    costs = {
        norm: compute_degradation(tabulate_norm_errors(comparison.scored, norm, sizes))
        for norm in norms
    }
    fields = [
        [estimate_mean(costs[norm][size].to_numpy(float)) for size in sizes] for norm in norms
    ]
    values = np.array([[field.value for field in row] for row in fields])
    if np.isnan(values).all():
        return None
    room = next(room for room in _LAYOUTS if len(sizes) <= room.most)
    with open_figure(7.2, 1.0 + room.height * len(norms)) as figure:
        axes = figure.add_subplot()
        shades = np.sign(values) * np.sqrt(
            np.abs(values) / max(float(np.nanmax(np.abs(values))), MIN_COLOUR_RANGE)
        )
        axes.imshow(shades, cmap=_COLOUR_MAP, vmin=-1, vmax=1, aspect="auto")
        names = [look.name for look in assign_styles(norms).values()]
        _label_axes(axes, names, [str(size) for size in sizes])
        for row, fields_of_norm in enumerate(fields):
            for column, field in enumerate(fields_of_norm):
                _print_field(axes, (column, row), field, float(shades[row, column]), room)
        return figure


def _label_axes(axes: Axes, norms: list[str], sizes: list[str]) -> None:
    """Label rows with norms and columns with batch sizes."""
    crowded = sum(map(len, sizes)) > 60
    axes.set_xticks(range(len(sizes)), sizes, rotation=90 if crowded else 0)
    axes.set_yticks(range(len(norms)), norms)
    axes.set_xlabel("batch size")
    axes.tick_params(length=0)
    axes.set_xticks(np.arange(len(sizes) - 1) + 0.5, minor=True)
    axes.set_yticks(np.arange(len(norms) - 1) + 0.5, minor=True)
    axes.grid(which="minor", color="white", linewidth=2)
    axes.tick_params(which="minor", length=0)
    for spine in axes.spines.values():
        spine.set_visible(False)


def _print_field(
    axes: Axes, position: tuple[int, int], field: SeedMean, shade: float, layout: FieldLayout
) -> None:
    """Print a mean and its half-width in one cell of the map."""
    if np.isnan(field.value):
        axes.text(*position, "–", ha="center", va="center", color=MUTED_COLOUR)
        return
    colour = "white" if abs(shade) > 0.6 else TEXT_COLOUR
    margin = "" if np.isnan(field.half_width) else f"{layout.between}±{format_half_width(field)}"
    text = f"{format_difference(field)}{margin}" if position[0] else "0"
    axes.text(
        *position,
        text,
        ha="center",
        va="center",
        color=colour,
        fontsize=layout.size,
        rotation=layout.rotation,
    )
