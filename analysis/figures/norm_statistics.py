"""BatchNorm decomposed: the same norm tested with different statistics."""

from __future__ import annotations

import re
from itertools import groupby

import numpy as np
from matplotlib.figure import Figure

from analysis.comparison import Comparison
from analysis.figures.style import SOFT, batch_size_axis, looks, percent_axis, sheet
from analysis.findings import Findings

ALT = (
    "Line chart of test error against batch size of one norm tested with its moving averages, with "
    "statistics recomputed over large batches, and with those of the test batch."
)
NAMES = {
    "ema": "moving average",
    "precise": "recomputed",
    "batch": "test batch",
}
_OPTION = re.compile(r"\b(?:eval_statistics)=['\"]?(\w+)['\"]?,? ?")


def family(norm: str) -> tuple[str, str]:
    """A norm's label without its test statistics, and which these are (`ema` by default)."""
    found = _OPTION.search(norm)
    rest = _OPTION.sub("", norm).replace("()", "").replace(", )", ")")
    return rest, found.group(1) if found else "ema"


def families(comparison: Comparison) -> dict[str, dict[str, str]]:
    """Norms that are there under several test statistics: label by statistics, per family."""
    named = sorted((*family(norm), norm) for norm in comparison.norms)
    grouped = {
        name: {statistics: norm for _, statistics, norm in members}
        for name, members in groupby(named, key=lambda item: item[0])
    }
    return {name: members for name, members in grouped.items() if len(members) > 1}


def draw(findings: Findings) -> Figure | None:
    """Test error (percent) by batch size and test statistics, a panel per norm that has them."""
    comparison = findings.comparison
    found = families(comparison)
    if not found:
        return None
    errors = comparison.scored["error"]
    with sheet(7.2, 3.6) as figure:
        panels = figure.subplots(1, len(found), sharey=True, squeeze=False)[0]
        by_kind = looks(list(NAMES))
        for axes, (name, members) in zip(panels, found.items(), strict=True):
            axes.set_title(name)
            percent_axis(axes, float(errors.min()), float(errors.max()))
            batch_size_axis(axes, comparison.batch_sizes)
            for kind, norm in members.items():
                cells = [
                    cell for (of, _), cell in comparison.cells.items() if of == norm and cell.ended
                ]
                look = by_kind.get(kind, by_kind["ema"])
                axes.errorbar(
                    [cell.batch_size for cell in cells],
                    [cell.error.value for cell in cells],
                    yerr=[np.nan_to_num(cell.error.half_width) for cell in cells],
                    color=look.colour,
                    marker=look.marker,
                    linestyle=look.dash,
                    label=NAMES.get(kind, kind),
                    elinewidth=0.9,
                )
        panels[0].set_ylabel("test error, last epoch (%)")
        panels[0].legend(title="statistics at test time", title_fontsize=8, labelcolor=SOFT)
        return figure
