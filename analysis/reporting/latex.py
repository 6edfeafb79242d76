"""LaTeX tables in the papers' own layout: errors by batch size, then the gap rows."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from analysis.comparison import Comparison
from analysis.inference import Mean
from analysis.wording import MINUS, number, signed

_SPECIAL = str.maketrans(
    {character: f"\\{character}" for character in "&%$#_{}"}
    | {"\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}"}
    | dict.fromkeys("\n\r\x0b\x0c\x1c\x1d\x1e\x85\u2028\u2029", " ")
)


def latex(found: Sequence[Comparison]) -> str:
    """A `tabular` (booktabs) for each comparison; \\pm is half a 95 % t interval's width."""
    return "\n\n".join("\n".join(_table(comparison)) for comparison in found) + "\n"


def _table(comparison: Comparison) -> Iterator[str]:
    sizes = comparison.batch_sizes
    if comparison.label:
        yield f"% {_text(comparison.label)}"
    yield rf"\begin{{tabular}}{{l{'r' * (len(sizes) + 1)}}}"
    yield r"\toprule"
    yield _row("Batch size", [*map(str, sizes), "AUEC"])
    yield r"\midrule"
    for norm in comparison.norms:
        cells = [comparison.cells.get((norm, size)) for size in sizes]
        errors = [_number(cell.error, number, len(cell.diverged)) if cell else "" for cell in cells]
        yield _row(_text(norm), [*errors, _level(comparison, norm)])
    if comparison.primary:
        yield r"\midrule"
    by_size = {(gap.norm, gap.batch_size): gap for gap in comparison.gaps}
    for gap in comparison.primary:
        gaps = [by_size[gap.norm, size].difference.paired for size in sizes]
        yield _row(
            f"{_text(gap.norm)} vs.\\ {_text(comparison.reference)}",
            [_number(item, signed) for item in (*gaps, gap.difference.paired)],
        )
    yield r"\bottomrule"
    yield r"\end{tabular}"


def _level(comparison: Comparison, norm: str) -> str:
    values = comparison.auec[norm]
    return number(float(values.mean())) if len(values) else "--"


def _number(mean: Mean, shown: object, diverged: int = 0) -> str:
    if np.isnan(mean.value):
        return "--"
    value = number(mean.value) if shown is number else signed(mean.value)
    half = "" if np.isnan(mean.half_width) else rf" \pm {number(mean.half_width)}"
    mark = r"^{\dagger}" if diverged else ""
    return f"${value.replace(MINUS, '-')}{mark}{half}$"


def _row(label: str, cells: Sequence[str]) -> str:
    return f"{label} & {' & '.join(cells)} \\\\"


def _text(label: str) -> str:
    return label.translate(_SPECIAL)
