"""LaTeX tables in the papers' own layout: errors by batch size, then the gap rows."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from analysis.formatting import (
    MINUS,
    HasInterval,
    choose_digits,
    format_half_width,
    format_number,
    format_signed,
)
from analysis.statistics.comparison import Comparison
from analysis.statistics.inference.family import Measure
from analysis.statistics.inference.intervals import estimate_mean

_SPECIAL = str.maketrans(
    {character: f"\\{character}" for character in "&%$#_{}"}
    | {"\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}"}
    | {"<": r"\textless{}", ">": r"\textgreater{}", "|": r"\textbar{}"}
    | {"±": r"$\pm$", "†": r"$\dagger$", "×": r"$\times$", MINUS: "$-$"}
    | dict.fromkeys("\n\r\x0b\x0c\x1c\x1d\x1e\x85\u2028\u2029", " ")
)


_NOTE = (
    r"% Test error in percent; \pm: half a 95 % t interval over seeds; then differences in points;",
    r"% \pm: half a simultaneous 95 % interval, without 0 where Holm's verdict is a difference;",
    r"% \dagger: with diverged trials, counted at chance error.",
)


def format_latex(comparisons: Sequence[Comparison]) -> str:
    """Return a `tabular` (booktabs) for each comparison, with a comment on its marks."""
    return "\n\n".join("\n".join(_build_tabular(comparison)) for comparison in comparisons) + "\n"


def _build_tabular(comparison: Comparison) -> Iterator[str]:
    """Yield the lines of one comparison's `tabular`."""
    sizes = comparison.batch_sizes
    # At a single batch size AUEC is the error itself.
    level = ["AUEC"] if len(sizes) > 1 else []
    if comparison.label:
        yield f"% {_escape_label(comparison.label)}"
    yield from _NOTE
    yield rf"\begin{{tabular}}{{l{'r' * (len(sizes) + len(level))}}}"
    yield r"\toprule"
    yield _format_row("Batch size", [*map(str, sizes), *level])
    yield r"\midrule"
    for norm in comparison.norms:
        cells = [comparison.cells.get((norm, size)) for size in sizes]
        errors = [
            _format_mean_in_latex(cell.error, format_number, len(cell.diverged)) if cell else ""
            for cell in cells
        ]
        yield _format_row(
            _escape_label(norm), [*errors, *(_format_auec(comparison, norm) for _ in level)]
        )
    levels = comparison.get_declared_contrasts(Measure.LEVEL)
    if levels:
        yield r"\midrule"
    by_size = {(gap.norm, gap.batch_size): gap for gap in comparison.cell_contrasts}
    for gap in levels:
        gaps = [*(by_size[gap.norm, size] for size in sizes), *(gap for _ in level)]
        yield _format_row(
            f"{_escape_label(gap.norm)} vs.\\ {_escape_label(comparison.reference)}",
            [
                _format_mean_in_latex(item, format_signed, comparison.rests_on_diverged(item))
                for item in gaps
            ],
        )
    yield r"\bottomrule"
    yield r"\end{tabular}"


def _format_auec(comparison: Comparison, norm: str) -> str:
    """Return a norm's AUEC with its half-width."""
    diverged = comparison.count_diverged(norm, None)
    return _format_mean_in_latex(
        estimate_mean(list(comparison.auec[norm])), format_number, diverged
    )


def _format_mean_in_latex(mean: HasInterval, formatter: object, diverged: int = 0) -> str:
    """Return a mean with its half-width, and a dagger where trials diverged."""
    if np.isnan(mean.value):
        return "--"
    digits = choose_digits(mean)
    chosen = format_number if formatter is format_number else format_signed
    value = chosen(mean.value, digits)
    half = "" if np.isnan(mean.half_width) else rf" \pm {format_half_width(mean)}"
    mark = r"^{\dagger}" if diverged else ""
    return f"${value.replace(MINUS, '-')}{mark}{half}$"


def _format_row(label: str, cells: Sequence[str]) -> str:
    """Return a table row of a label and cells."""
    return f"{label} & {' & '.join(cells)} \\\\"


def _escape_label(label: str) -> str:
    """Return `label` escaped for LaTeX; a leading `[` or `*` would be an option of a row."""
    text = label.translate(_SPECIAL)
    return f"{{}}{text}" if text.startswith(("[", "*")) else text
