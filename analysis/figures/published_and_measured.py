"""Figure of printed values beside measured ones."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from analysis.figures.style import (
    MUTED_COLOUR,
    TEXT_COLOUR,
    NormStyle,
    assign_styles,
    count_rows,
    make_panels,
    open_figure,
    set_batch_size_axis,
    set_percent_axis,
)
from analysis.findings import Findings
from analysis.published import PublishedValue, describe_protocol_differences, simplify_norm_label
from analysis.published.measured_beside_printed import PublishedPair
from analysis.statistics.comparison import Comparison

ALT = (
    "Measured test errors with intervals and the papers' printed numbers as hollow diamonds, "
    "against batch size, one panel per norm."
)


def draw_published_and_measured(findings: Findings) -> Figure | None:
    """Return the figure of measured and printed mean errors (percent); None without a match."""
    comparison = findings.comparison
    found = [item for item in findings.published_pairs if item.measure == "test_error"]
    norms = [norm for norm in comparison.norms if norm in {item.norm for item in found}]
    if not norms:
        return None
    printed = [item.printed for item in found]
    errors = comparison.scored["error"]
    with open_figure(7.2, 0.4 + 2.5 * count_rows(len(norms))) as figure:
        grid = make_panels(figure, len(norms))
        by_norm = assign_styles(comparison.norms)
        for axes, norm in zip(grid, norms, strict=True):
            set_percent_axis(
                axes, min(*printed, float(errors.min())), max(*printed, float(errors.max()))
            )
            set_batch_size_axis(axes, comparison.batch_sizes, max_labels=9)
            axes.set_title(by_norm[norm].name)
            _draw_norm_panel(
                axes, comparison, norm, by_norm[norm], [i for i in found if i.norm == norm]
            )
        figure.supylabel("test error (%)", fontsize=9)
        grid[0].legend(fontsize=8)
        return figure


def _draw_norm_panel(
    axes: Axes, comparison: Comparison, norm: str, look: NormStyle, printed: list[PublishedPair]
) -> None:
    """Draw one norm's measured means and printed values."""
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
        sorted(first),
        [first[b].printed for b in sorted(first)],
        ":",
        color=MUTED_COLOUR,
        linewidth=1,
    )
    axes.plot(
        [item.batch_size for item in printed],
        [item.printed for item in printed],
        marker="D",
        color=MUTED_COLOUR,
        markerfacecolor="white",
        linestyle="none",
        label="published",
    )
    for item in printed:
        if item.is_approximate:
            axes.annotate(
                f"about {item.printed:g}",
                (item.batch_size, item.printed),
                xytext=(7, 0),
                textcoords="offset points",
                va="center",
                fontsize=8,
                color=TEXT_COLOUR,
            )


def describe_published_source(findings: Findings) -> str:
    """Return where the values are printed, and how trials differ from each paper's protocol."""
    texts = []
    for paper in dict.fromkeys(item.paper for item in findings.published):
        items = [item for item in findings.published if item.paper == paper]
        texts.append(f"Printed in: {'; '.join(sorted({item.citation for item in items}))}.")
        texts += _describe_protocol(findings, paper, items)
    return " ".join(texts)


def _describe_protocol(findings: Findings, paper: str, items: list[PublishedValue]) -> list[str]:
    """Return how the trials in the cells that `paper` prints were trained otherwise."""
    trials = findings.comparison.trials
    printed = {(item.norm, item.batch_size) for item in items}
    cells = zip(trials["norm"].map(simplify_norm_label), trials["batch_size"], strict=True)
    same = trials[[cell in printed for cell in cells]].set_index("trial_id")["batch_size"]
    settings = findings.trial_settings
    return describe_protocol_differences(paper, settings[settings.index.isin(same.index)], same)
