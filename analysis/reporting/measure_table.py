"""The robustness measures, as a frame and as page tables."""

from __future__ import annotations

from dataclasses import asdict

import numpy as np
import pandas as pd

from analysis.findings import Findings
from analysis.formatting import (
    choose_uncertain_digits,
    format_difference,
    format_half_width,
    format_mean,
    format_number,
    format_signed,
    join_words,
)
from analysis.reporting.tables import PageTable, TableCell
from analysis.statistics.inference.intervals import SeedMean
from analysis.statistics.norm_measures import NormMeasures
from analysis.statistics.selection_bias import SelectedEstimate
from analysis.statistics.win_probability import WinProbability


def tabulate_norm_measures(findings: Findings) -> pd.DataFrame:
    """Return one row per norm, one column per measure.

    Intervals are in `_low_95` and `_high_95`, numbers of seeds in `_seeds`; of a measure that is
    chosen by its own errors, such as a highest mean, `_bias` is the estimated bias and
    `_standard_error` its standard deviation.
    """
    rows = []
    for measures in findings.measures.values():
        row: dict[str, object] = {}
        for name in asdict(measures):
            value = getattr(measures, name)
            if name == "relative":  # a mean of logarithms, told as the factor that it stands for
                ends = np.exp([value.value, value.low, value.high])
                row |= dict(zip((name, f"{name}_low_95", f"{name}_high_95"), ends, strict=True))
                row[f"{name}_seeds"] = value.num
            elif isinstance(value, SeedMean):
                row |= {
                    name: value.value,
                    f"{name}_low_95": value.low,
                    f"{name}_high_95": value.high,
                    f"{name}_seeds": value.num,
                }
            elif isinstance(value, SelectedEstimate):
                row |= {
                    name: value.value,
                    f"{name}_bias": value.bias,
                    f"{name}_standard_error": value.standard_error,
                    f"{name}_seeds": value.num,
                }
            else:
                row[name] = value
        rows.append(row | _tabulate_win(findings.win_probabilities.get(measures.norm)))
    return pd.DataFrame.from_records(rows)


def _tabulate_win(found: WinProbability | None) -> dict[str, object]:
    """Return the columns of a norm's probability to beat the reference; missing for None."""
    win = found or WinProbability(np.nan, np.nan, np.nan, 0)
    return {
        "beats_reference": win.value,
        "beats_reference_low_95": win.low,
        "beats_reference_high_95": win.high,
        "beats_reference_seeds": win.num,
    }


def build_measure_tables(findings: Findings) -> tuple[PageTable, ...]:
    """Return the page tables of measures: level and slope, then regret and safety."""
    if not findings.measures:
        return ()
    smallest = findings.comparison.common_batch_sizes[-1]
    found = findings.measures.items()
    lost = any(findings.comparison.count_diverged(norm, None) for norm, _ in found)
    wins = findings.win_probabilities
    level = PageTable(
        "Level and slope",
        ("norm", "AUEC", f"D({smallest})", "slope", "last octave", "worst rise", "worst"),
        tuple(
            (norm, _build_level_cells(measures, findings.comparison.count_diverged(norm, None)))
            for norm, measures in found
        ),
        (
            "AUEC: error averaged over batch sizes on the log axis, %. D: rise of error from the "
            "largest batch, points; below, as a factor. Slope: points per halving of the batch, "
            "by least squares, and over the last octave alone. Worst rise: the most that the mean "
            "error at a batch size lies above the lowest at any larger one, points; a slope of 0 "
            "may hide one. Worst: highest mean error, %; like AUEC unknown (–) where a batch size "
            "has no result. Both are maxima of noisy means, which lie too high: bias is how far, "
            "as simulated from the spread of the seeds, and is not taken off."
            + (" †: diverged trials, counted at chance error." if lost else ""),
        ),
    )
    safety = PageTable(
        "Regret and safety",
        (
            "norm",
            "mean regret",
            "mean regret, split",
            "max regret",
            "max regret, split",
            "safe range (octaves)",
            "diverged",
            *(("beats the reference",) if wins else ()),
        ),
        tuple(
            (
                norm,
                (
                    *_build_safety_cells(measures),
                    *((_build_win_cell(wins.get(norm)),) if wins else ()),
                ),
            )
            for norm, measures in found
        ),
        (
            "Regret: mean error above the lowest norm's, points, over batch sizes; it comes out "
            "too large, as the lowest of noisy means is too low. Split: the best norm chosen on "
            "half the seeds, scores from the rest; its mean comes out too small where half of the "
            "seeds choose a wrong norm, its maximum too large, as maxima do. Bias: how far above "
            "(+) or below (−) the true value, as simulated from the spread of the seeds; it is not "
            "taken off." + _describe_excluded_sizes(findings),
            "Safe range: how often the batch can be halved before the 95 % upper bound of the rise "
            f"over some larger batch size passes {findings.margin:g} points, or nothing is learnt "
            "any more; unknown (–) where it gets as far as a batch size with too few seeds for a "
            "bound, or nothing is learnt at the largest. Diverged: of all trials that ended; the "
            "rate by batch size, with intervals, has a table of its own.",
            *((_describe_wins(findings),) if wins else ()),
        ),
    )
    # At a single batch size there is neither rise nor slope, and AUEC is the error itself.
    return (level, safety) if len(findings.comparison.common_batch_sizes) > 1 else (safety,)


def _describe_wins(findings: Findings) -> str:
    """Return the note on the probability that a norm beats the reference."""
    return (
        f"Beats the reference: of the seeds with both, those under which the norm's AUEC is lower "
        f"than {findings.comparison.reference}'s, a tie counting half: the probability that it is "
        "lower in a further trial. Below, Clopper and Pearson's 95 % interval. Exploratory; 75 % "
        "or more is called meaningful (Bouthillier et al. 2021)."
    )


def _build_win_cell(win: WinProbability | None) -> TableCell:
    """Return the table cell of the probability that a norm beats the reference."""
    if win is None or np.isnan(win.value):
        return TableCell("–")
    interval = _format_percent_range(win.low, win.high)
    return TableCell(f"{100 * win.value:.0f} %", note=f"{interval}\nn = {win.num}")


def _describe_excluded_sizes(findings: Findings) -> str:
    """Return words on batch sizes at which all norms are at chance, which regret leaves out."""
    comparison = findings.comparison
    sizes = [
        b
        for b in comparison.common_batch_sizes
        if all((norm, b) in comparison.at_chance for norm in findings.measures)
    ]
    if not sizes:
        return ""
    return (
        f" Without batch size{'s'[: len(sizes) > 1]} {join_words(sizes)}: nothing is learnt there."
    )


def _build_level_cells(m: NormMeasures, diverged: int) -> tuple[TableCell, ...]:
    """Return the cells of a norm in the table of level and slope."""
    return (
        TableCell(
            format_mean(m.auec),
            format_half_width(m.auec),
            f"† {diverged} diverged" * bool(diverged),
        ),
        TableCell(
            format_difference(m.degradation),
            format_half_width(m.degradation),
            _format_ratio(m.relative),
        ),
        TableCell(format_difference(m.slope), format_half_width(m.slope)),
        TableCell(format_difference(m.last_octave), format_half_width(m.last_octave)),
        _build_selected_cell(m.rise),
        _build_selected_cell(m.worst),
    )


def _build_safety_cells(m: NormMeasures) -> tuple[TableCell, ...]:
    """Return the cells of a norm in the table of regret and safety."""
    return (
        _build_selected_cell(m.regret_mean),
        _build_selected_cell(m.split_regret_mean),
        _build_selected_cell(m.regret_max),
        _build_selected_cell(m.split_regret_max),
        TableCell(format_number(m.safe, 1)),
        TableCell(f"{m.diverged} of {m.ended}"),
    )


def _format_ratio(logarithm: SeedMean) -> str:
    """Return a mean logarithm of a ratio as a factor; empty where missing."""
    if np.isnan(logarithm.value):
        return ""
    factor = float(np.exp(logarithm.value))
    digits = choose_uncertain_digits(factor * logarithm.half_width)
    return f"× {format_number(factor, digits)}"


def _build_selected_cell(estimate: SelectedEstimate) -> TableCell:
    """Return the table cell of a measure that is chosen by its own errors, with its bias."""
    known = not np.isnan(estimate.bias)
    digits = choose_uncertain_digits(estimate.standard_error)
    return TableCell(
        format_number(estimate.value, digits),
        note=f"bias {format_signed(estimate.bias, digits)}" * known,
    )


def _format_percent_range(low: float, high: float) -> str:
    """Return an interval of fractions in percent; empty where missing."""
    return "" if np.isnan(low) else f"{100 * low:.0f} to {100 * high:.0f} %"
