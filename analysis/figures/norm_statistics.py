"""BatchNorm decomposed: the same norm tested with different statistics."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from analysis.figures.norm_labels import drawn_names
from analysis.figures.style import (
    Look,
    batch_size_axis,
    legend,
    looks,
    panels,
    percent_axis,
    rows_of,
    sheet,
)
from analysis.findings import Findings
from analysis.schema import STATISTICS_KINDS
from analysis.statistics.decomposition import DecomposedCell

ALT = (
    "Line chart of test error against batch size of one norm tested with its moving averages, with "
    "statistics recomputed over large batches, and with those of the test batch."
)
NAMES = {"ema": "moving average", "precise": "recomputed", "batch": "test batch"}


def draw(findings: Findings) -> Figure | None:
    """Test error (percent) by batch size, a line for each kind of test statistics.

    A panel for each norm that was tested in more than one way; None where there is none.
    """
    found = findings.decomposed
    if not found:
        return None
    cells = [cell for members in found.values() for cell in members]
    errors = np.concatenate([values for cell in cells for values in cell.errors.values()])
    kinds = [kind for kind in STATISTICS_KINDS if any(kind in cell.errors for cell in cells)]
    by_name = looks([NAMES[kind] for kind in STATISTICS_KINDS])
    with sheet(7.2, 0.9 + 2.5 * rows_of(len(found))) as figure:
        drawn = panels(figure, len(found))
        names = drawn_names(list(found))
        for axes, name, members in zip(drawn, names, found.values(), strict=True):
            axes.set_title(name)
            percent_axis(axes, float(errors.min()), float(errors.max()))
            batch_size_axis(axes, findings.comparison.batch_sizes, room=20 // min(3, len(found)))
            for kind in kinds:
                shown = [cell for cell in members if kind in cell.errors]
                if shown:
                    _line(axes, shown, kind, by_name[NAMES[kind]])
        figure.supylabel("test error, last epoch (%)", fontsize=9)
        legend(figure, {NAMES[kind]: by_name[NAMES[kind]] for kind in kinds})
        return figure


def _line(axes: Axes, cells: Sequence[DecomposedCell], kind: str, look: Look) -> None:
    """One kind's means, and their interval as a band."""
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
        label=NAMES[kind],
    )
