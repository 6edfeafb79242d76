"""The Python interface: figures of results.

A function takes results from `load_results` and returns a matplotlib figure that no window
belongs to. It raises `AnalysisError` where there is nothing to draw.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from analysis.errors import AnalysisError
from analysis.interface import compute_results_findings

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from analysis.findings import Findings
    from analysis.schema import Results


def plot_error_by_batch_size(results: Results, *, comparison: str | None = None) -> Figure:
    """Return the figure of test error against batch size: a dot per trial, means, 95 % bands.

    Args:
        results: trials from `load_results`.
        comparison: label of the data set, network and variant to draw, as in the column
            `comparison` of `tabulate_errors`; needed where the results hold several.

    Returns:
        A matplotlib figure that no window belongs to; `figure.savefig(...)` writes it.

    Raises:
        AnalysisError: no comparison has this label, or several do and none was named.

    Examples:
        >>> import pandas as pd
        >>> from analysis import load_results
        >>> rows = [("bn", 8, 0, 6.0), ("bn", 2, 0, 10.0), ("gn", 8, 0, 6.0), ("gn", 2, 0, 7.0)]
        >>> frame = pd.DataFrame(rows, columns=["norm", "batch_size", "seed", "test_error"])
        >>> figure = plot_error_by_batch_size(load_results(frame))
        >>> figure.axes[0].get_xlabel()
        'batch size'
    """
    from analysis.figures.error_by_batch_size import draw_error_by_batch_size

    return draw_error_by_batch_size(_select(compute_results_findings(results), comparison))


def plot_degradation(results: Results, *, comparison: str | None = None) -> Figure:
    """Return the heat map of the rise in error over the largest batch size, norm by batch size.

    Args:
        results: trials from `load_results`.
        comparison: label of the comparison; needed where the results hold several.

    Returns:
        A matplotlib figure, in percentage points.

    Raises:
        AnalysisError: the comparison is not found, or has a single batch size.
    """
    from analysis.figures.degradation_map import draw_degradation_map

    found = _select(compute_results_findings(results), comparison)
    return _require(draw_degradation_map(found), "a rise needs two batch sizes with results")


def plot_level_and_slope(results: Results, *, comparison: str | None = None) -> Figure:
    """Return the scatter plot of average error against its slope, a point per norm.

    Args:
        results: trials from `load_results`.
        comparison: label of the comparison; needed where the results hold several.

    Returns:
        A matplotlib figure: AUEC in percent, slope in points per halving of the batch.

    Raises:
        AnalysisError: the comparison is not found, or fewer than two norms have both measures.
    """
    from analysis.figures.level_and_slope import draw_level_and_slope

    found = _select(compute_results_findings(results), comparison)
    return _require(draw_level_and_slope(found), "fewer than two norms have a level and a slope")


def plot_differences(
    results: Results,
    *,
    reference: str | None = None,
    margin: float | None = None,
    comparison: str | None = None,
) -> Figure:
    """Return the forest plot of each norm's level and robustness against the reference's.

    Args:
        results: trials from `load_results`.
        reference: norm that the others are compared with; None for the declared one, else the
            first.
        margin: half the width of the shaded zone of no difference, points; None for 0.5 or 1.
        comparison: label of the comparison; needed where the results hold several.

    Returns:
        A matplotlib figure, in percentage points, with simultaneous intervals and p adjusted by
        Holm: a panel for AUEC and one for the rise from the largest batch to the smallest.

    Raises:
        AnalysisError: the comparison or the reference is not found, `margin` is not positive, or
            there is no other norm with results.
    """
    from analysis.figures.forest import draw_forest

    found = _select(compute_results_findings(results, reference, margin), comparison)
    return _require(draw_forest(found), "no norm shares a complete seed with the reference")


def plot_learning_curves(results: Results, *, comparison: str | None = None) -> Figure:
    """Return the figure of test error over epochs: a panel per batch size, a line per trial.

    Args:
        results: trials from `load_results`.
        comparison: label of the comparison; needed where the results hold several.

    Returns:
        A matplotlib figure, errors in percent.

    Raises:
        AnalysisError: the comparison is not found, or its source has no epochs, such as a CSV.
    """
    from analysis.figures.learning_curves import draw_learning_curves

    found = _select(compute_results_findings(results), comparison)
    return _require(draw_learning_curves(found), "the source holds no epochs")


def _select(all_findings: Sequence[Findings], label: str | None) -> Findings:
    """Return the findings of the comparison with this label; None for the only one."""
    labels = [item.comparison.label for item in all_findings]
    if label is None and len(labels) == 1:
        return all_findings[0]
    if label not in labels:
        what = "several comparisons" if label is None else f"no comparison {label!r}"
        raise AnalysisError(f"{what}: choose comparison= one of {', '.join(map(repr, labels))}")
    return all_findings[labels.index(label)]


def _require(figure: Figure | None, reason: str) -> Figure:
    """Return `figure`; raise `AnalysisError` with the reason where there is nothing to draw."""
    if figure is None:
        raise AnalysisError(f"nothing to draw: {reason}")
    return figure
