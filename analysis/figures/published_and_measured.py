"""Measured against published: what the papers print beside what the seeds give."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from analysis.figures.style import (
    INK,
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
from analysis.published import Published, printed_norm, protocol_lines
from analysis.published.measured_beside_printed import Against
from analysis.statistics.comparison import Comparison

ALT = (
    "Measured test errors with intervals and the papers' printed numbers as hollow diamonds, "
    "against batch size, one panel per norm."
)


def draw(findings: Findings) -> Figure | None:
    """Each norm's measured mean error and the printed one (percent); None without a match."""
    comparison = findings.comparison
    found = [item for item in findings.against_published if item.measure == "test_error"]
    norms = [norm for norm in comparison.norms if norm in {item.norm for item in found}]
    if not norms:
        return None
    printed = [item.printed for item in found]
    errors = comparison.scored["error"]
    with sheet(7.2, 0.4 + 2.5 * rows_of(len(norms))) as figure:
        grid = panels(figure, len(norms))
        by_norm = looks(comparison.norms)
        for axes, norm in zip(grid, norms, strict=True):
            percent_axis(
                axes, min(*printed, float(errors.min())), max(*printed, float(errors.max()))
            )
            batch_size_axis(axes, comparison.batch_sizes, room=9)
            axes.set_title(by_norm[norm].name)
            _panel(axes, comparison, norm, by_norm[norm], [i for i in found if i.norm == norm])
        figure.supylabel("test error (%)", fontsize=9)
        grid[0].legend(fontsize=8)
        return figure


def _panel(
    axes: Axes, comparison: Comparison, norm: str, look: Look, printed: list[Against]
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
    # A cell that two tables print differently has two diamonds, the first of them on the line.
    first = {item.batch_size: item for item in reversed(printed)}
    axes.plot(
        sorted(first), [first[b].printed for b in sorted(first)], ":", color=SOFT, linewidth=1
    )
    axes.plot(
        [item.batch_size for item in printed],
        [item.printed for item in printed],
        marker="D",
        color=SOFT,
        markerfacecolor="white",
        linestyle="none",
        label="published",
    )
    for item in printed:
        if item.about:
            axes.annotate(
                f"about {item.printed:g}",
                (item.batch_size, item.printed),
                xytext=(7, 0),
                textcoords="offset points",
                va="center",
                fontsize=8,
                color=INK,
            )


def source(findings: Findings) -> str:
    """Where the printed numbers stand, and how these trials differ from each paper's protocol."""
    texts = []
    for paper in dict.fromkeys(item.paper for item in findings.published):
        items = [item for item in findings.published if item.paper == paper]
        texts.append(f"Printed in: {'; '.join(sorted({item.where for item in items}))}.")
        texts += _protocol(findings, paper, items)
    return " ".join(texts)


def _protocol(findings: Findings, paper: str, items: list[Published]) -> list[str]:
    """What was trained otherwise in the cells that `paper` has."""
    trials = findings.comparison.trials
    printed = {(item.norm, item.batch_size) for item in items}
    cells = zip(trials["norm"].map(printed_norm), trials["batch_size"], strict=True)
    same = trials[[cell in printed for cell in cells]].set_index("trial_id")["batch_size"]
    settings = findings.trial_settings
    return protocol_lines(paper, settings[settings.index.isin(same.index)], same)
