"""Figure of BatchNorm decomposed: one norm tested with different statistics."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from analysis.figures.norm_labels import make_figure_labels
from analysis.figures.style import (
    NormStyle,
    assign_styles,
    count_rows,
    draw_legend,
    make_panels,
    open_figure,
    set_batch_size_axis,
    set_percent_axis,
)
from analysis.findings import Findings
from analysis.schema import STATISTICS_KINDS
from analysis.statistics.decomposition import DecomposedCell

ALT = (
    "Line chart of test error against batch size of one norm tested with its moving averages, with "
    "statistics recomputed over large batches, and with those of the test batch."
)
KIND_NAMES = {"ema": "moving average", "precise": "recomputed", "batch": "test batch"}


def draw_norm_statistics(findings: Findings) -> Figure | None:
    """Return the figure of test error (percent) by batch size, a line per kind of test statistics.

    A panel for each norm that was tested in several ways; None where there is none.
    """
    found = findings.decomposed_norms
    if not found:
        return None
    cells = [cell for members in found.values() for cell in members]
    errors = np.concatenate([values for cell in cells for values in cell.errors.values()])
    kinds = [kind for kind in STATISTICS_KINDS if any(kind in cell.errors for cell in cells)]
    by_name = assign_styles([KIND_NAMES[kind] for kind in STATISTICS_KINDS])
    with open_figure(7.2, 0.9 + 2.5 * count_rows(len(found))) as figure:
        drawn = make_panels(figure, len(found))
        names = make_figure_labels(list(found))
        for axes, name, members in zip(drawn, names, found.values(), strict=True):
            axes.set_title(name)
            set_percent_axis(axes, float(errors.min()), float(errors.max()))
            set_batch_size_axis(
                axes, findings.comparison.batch_sizes, max_labels=20 // min(3, len(found))
            )
            for kind in kinds:
                shown = [cell for cell in members if kind in cell.errors]
                if shown:
                    _draw_kind(axes, shown, kind, by_name[KIND_NAMES[kind]])
        figure.supylabel("test error, last epoch (%)", fontsize=9)
        draw_legend(figure, {KIND_NAMES[kind]: by_name[KIND_NAMES[kind]] for kind in kinds})
        return figure


def _draw_kind(axes: Axes, cells: Sequence[DecomposedCell], kind: str, look: NormStyle) -> None:
    """Draw the means of one kind and their interval as a band."""
    sizes = [cell.batch_size for cell in cells]
    means = [cell.means[kind] for cell in cells]
    bottom = axes.get_ylim()[0] if axes.get_yscale() == "log" else 0.0
    axes.fill_between(
        sizes,
        np.maximum([mean.low for mean in means], bottom),
        [mean.high for mean in means],
        color=look.colour,
        alpha=0.13,
        linewidth=0,
    )
    axes.plot(
        sizes,
        [mean.value for mean in means],
        color=look.colour,
        marker=look.marker,
        linestyle=look.dash,
        markersize=4.5,
        label=KIND_NAMES[kind],
    )
