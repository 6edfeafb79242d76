"""LaTeX tables in the papers' own layout: errors by batch size, then the gap rows."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from analysis.formatting import MINUS, number, signed
from analysis.statistics.comparison import Comparison
from analysis.statistics.inference.intervals import SeedMean, estimate_mean

_SPECIAL = str.maketrans(
    {character: f"\\{character}" for character in "&%$#_{}"}
    | {"\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}"}
    | {"<": r"\textless{}", ">": r"\textgreater{}", "|": r"\textbar{}"}
    | {"±": r"$\pm$", "†": r"$\dagger$", "×": r"$\times$", MINUS: "$-$"}
    | dict.fromkeys("\n\r\x0b\x0c\x1c\x1d\x1e\x85\u2028\u2029", " ")
)


_NOTE = (
    r"% Test error in percent, then differences in points; \pm: half a 95 % t interval over seeds;",
    r"% \dagger: with diverged trials, counted at chance error.",
)


def latex(found: Sequence[Comparison]) -> str:
    """A `tabular` (booktabs) for each comparison, which says in a comment what its marks mean."""
    return "\n\n".join("\n".join(_table(comparison)) for comparison in found) + "\n"


def _table(comparison: Comparison) -> Iterator[str]:
    sizes = comparison.batch_sizes
    # At a single batch size AUEC is the error itself.
    level = ["AUEC"] if len(sizes) > 1 else []
    if comparison.label:
        yield f"% {_text(comparison.label)}"
    yield from _NOTE
    yield rf"\begin{{tabular}}{{l{'r' * (len(sizes) + len(level))}}}"
    yield r"\toprule"
    yield _row("Batch size", [*map(str, sizes), *level])
    yield r"\midrule"
    for norm in comparison.norms:
        cells = [comparison.cells.get((norm, size)) for size in sizes]
        errors = [_number(cell.error, number, len(cell.diverged)) if cell else "" for cell in cells]
        yield _row(_text(norm), [*errors, *(_level(comparison, norm) for _ in level)])
    if comparison.declared_contrasts:
        yield r"\midrule"
    by_size = {(gap.norm, gap.batch_size): gap for gap in comparison.cell_contrasts}
    for gap in comparison.declared_contrasts:
        gaps = [*(by_size[gap.norm, size] for size in sizes), *(gap for _ in level)]
        yield _row(
            f"{_text(gap.norm)} vs.\\ {_text(comparison.reference)}",
            [
                _number(item.difference.paired, signed, comparison.rests_on_diverged(item))
                for item in gaps
            ],
        )
    yield r"\bottomrule"
    yield r"\end{tabular}"


def _level(comparison: Comparison, norm: str) -> str:
    diverged = comparison.count_diverged(norm, None)
    return _number(estimate_mean(list(comparison.auec[norm])), number, diverged)


def _number(mean: SeedMean, shown: object, diverged: int = 0) -> str:
    if np.isnan(mean.value):
        return "--"
    value = number(mean.value) if shown is number else signed(mean.value)
    half = "" if np.isnan(mean.half_width) else rf" \pm {number(mean.half_width)}"
    mark = r"^{\dagger}" if diverged else ""
    return f"${value.replace(MINUS, '-')}{mark}{half}$"


def _row(label: str, cells: Sequence[str]) -> str:
    return f"{label} & {' & '.join(cells)} \\\\"


def _text(label: str) -> str:
    """`label` as LaTeX prints it; after the row before it, `[` and `*` would be its options."""
    text = label.translate(_SPECIAL)
    return f"{{}}{text}" if text.startswith(("[", "*")) else text
