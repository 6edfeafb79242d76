"""Measured against published: what the papers print beside what the seeds give."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from analysis.comparison import Comparison
from analysis.figures.style import (
    SOFT,
    Look,
    batch_size_axis,
    looks,
    panels,
    percent_axis,
    rows_of,
    sheet,
)
from analysis.findings import Findings
from analysis.published import Published, printed_norm, protocol

ALT = (
    "Measured test errors with intervals and the papers' printed numbers as hollow diamonds, "
    "against batch size, one panel per norm."
)


def draw(findings: Findings) -> Figure | None:
    """Each norm's measured mean error and the printed one (percent); None without a match."""
    comparison, published = findings.comparison, findings.published
    norms = [n for n in comparison.norms if printed_norm(n) in {item.norm for item in published}]
    if not norms:
        return None
    printed = [item.error for item in published]
    errors = comparison.scored["error"]
    with sheet(7.2, 0.4 + 2.5 * rows_of(len(norms))) as figure:
        grid = panels(figure, len(norms))
        by_norm = looks(comparison.norms)
        for axes, norm in zip(grid, norms, strict=True):
            percent_axis(
                axes, min(*printed, float(errors.min())), max(*printed, float(errors.max()))
            )
            batch_size_axis(axes, comparison.batch_sizes, room=9)
            axes.set_title(norm)
            _panel(axes, comparison, norm, by_norm[norm], published)
        figure.supylabel("test error (%)", fontsize=9)
        grid[0].legend(fontsize=8)
        return figure


def _panel(
    axes: Axes, comparison: Comparison, norm: str, look: Look, published: list[Published]
) -> None:
    cells = [c for (of, _), c in comparison.cells.items() if of == norm and c.ended]
    axes.errorbar(
        [cell.batch_size for cell in cells],
        [cell.error.value for cell in cells],
        yerr=[np.nan_to_num(cell.error.half_width) for cell in cells],
        color=look.colour,
        marker=look.marker,
        linestyle=look.dash,
        elinewidth=1,
        label="measured",
    )
    known = [item for item in published if item.norm == printed_norm(norm)]
    axes.plot(
        [item.batch_size for item in known],
        [item.error for item in known],
        marker="D",
        color=SOFT,
        markerfacecolor="white",
        linestyle=":",
        linewidth=1,
        label="published",
    )


def source(findings: Findings) -> str:
    """Where the printed numbers stand, and how these trials differ from the papers' protocol."""
    if not findings.published:
        return ""
    tables = sorted({f"{item.paper}, {item.table}, {item.model}" for item in findings.published})
    text = f"Printed in: {'; '.join(tables)}."
    differences = protocol_differences(findings.settings)
    return f"{text} Not as printed there: {'; '.join(differences)}." if differences else text


def protocol_differences(settings: Mapping[str, Sequence[str]]) -> list[str]:
    """Settings (values by name) that are not as the AssocNorm paper prints them, in words."""
    return [
        f"{name} {' / '.join(settings[name])} (printed: {value})"
        for name, value in protocol().items()
        if settings.get(name) and not any(_same(value, ours) for ours in settings[name])
    ]


def _same(printed: str, ours: str) -> bool:
    """Whether two settings are the same number or text."""
    try:
        return float(printed) == float(ours)
    except ValueError:
        return printed == ours
