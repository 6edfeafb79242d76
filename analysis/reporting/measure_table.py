"""The robustness measures, as a frame and as page tables."""

from __future__ import annotations

from dataclasses import asdict

import numpy as np
import pandas as pd

from analysis.findings import Findings
from analysis.formatting import listed, number, signed
from analysis.reporting.tables import Shown, Table, margin
from analysis.statistics.inference.intervals import SeedMean
from analysis.statistics.norm_measures import NormMeasures


def measure_frame(findings: Findings) -> pd.DataFrame:
    """One row per norm, one column per measure; intervals as `_low_95` and `_high_95`."""
    rows = []
    for measures in findings.measures.values():
        row: dict[str, object] = {}
        for name in asdict(measures):
            value = getattr(measures, name)
            if name == "relative":  # a mean of logarithms, told as the factor that it stands for
                ends = np.exp([value.value, value.low, value.high])
                row |= dict(zip((name, f"{name}_low_95", f"{name}_high_95"), ends, strict=True))
            elif isinstance(value, SeedMean):
                row |= {
                    name: value.value,
                    f"{name}_low_95": value.low,
                    f"{name}_high_95": value.high,
                }
            else:
                row[name] = value
        low, high = measures.divergence_interval
        rows.append({**row, "divergence_low_95": low, "divergence_high_95": high})
    return pd.DataFrame.from_records(rows)


def measure_tables(findings: Findings) -> tuple[Table, ...]:
    """The measures as a page shows them: level and slope, then regret and safety."""
    if not findings.measures:
        return ()
    smallest = findings.comparison.common_batch_sizes[-1]
    found = findings.measures.items()
    lost = any(findings.comparison.count_diverged(norm, None) for norm, _ in found)
    level = Table(
        "Level and slope",
        ("norm", "AUEC", f"D({smallest})", "slope", "last octave", "worst rise", "worst"),
        tuple(
            (norm, _level(measures, findings.comparison.count_diverged(norm, None)))
            for norm, measures in found
        ),
        (
            "AUEC: error averaged over batch sizes on the log axis, %. D: rise of error from the "
            "largest batch, points; below, as a factor. Slope: points per halving of the batch, "
            "by least squares, and over the last octave alone. Worst rise: the most that the mean "
            "error at a batch size lies above the lowest at any larger one, points; a slope of 0 "
            "may hide one. Worst: highest mean error, %; like AUEC unknown (–) where a batch size "
            "has no result." + (" †: diverged trials, counted at chance error." if lost else ""),
        ),
    )
    safety = Table(
        "Regret and safety",
        ("norm", "mean regret", "max regret", "safe range (octaves)", "diverged"),
        tuple((norm, _safety(measures)) for norm, measures in found),
        (
            "Regret: mean error above the lowest norm's, points, over batch sizes; it comes out "
            "too large, as the lowest of noisy means is too low. Below, without this bias: the "
            "best chosen on half the seeds, scores from the rest." + _guessed_at(findings),
            "Safe range: how often the batch can be halved before the 95 % upper bound of the rise "
            f"over some larger batch size passes {findings.margin:g} points, or nothing is learnt "
            "any more; unknown (–) where it gets as far as a batch size with too few seeds for a "
            "bound, or nothing is learnt at the largest. Diverged: of all trials that ended; "
            "below, Clopper and Pearson's 95 % interval.",
        ),
    )
    # At a single batch size there is neither rise nor slope, and AUEC is the error itself.
    return (level, safety) if len(findings.comparison.common_batch_sizes) > 1 else (safety,)


def _guessed_at(findings: Findings) -> str:
    """That batch sizes at which no norm has learnt anything are no part of regret."""
    comparison = findings.comparison
    sizes = [
        b
        for b in comparison.common_batch_sizes
        if all((norm, b) in comparison.at_chance for norm in findings.measures)
    ]
    if not sizes:
        return ""
    return f" Without batch size{'s'[: len(sizes) > 1]} {listed(sizes)}: nothing is learnt there."


def _level(m: NormMeasures, diverged: int) -> tuple[Shown, ...]:
    return (
        Shown(number(m.auec.value), margin(m.auec), f"† {diverged} diverged" * bool(diverged)),
        Shown(signed(m.degradation.value), margin(m.degradation), _relative(m.relative.value)),
        Shown(signed(m.slope.value), margin(m.slope)),
        Shown(signed(m.last_octave.value), margin(m.last_octave)),
        Shown(number(m.rise)),
        Shown(number(m.worst)),
    )


def _safety(m: NormMeasures) -> tuple[Shown, ...]:
    low, high = m.divergence_interval
    return (
        Shown(number(m.regret_mean), note=_split(m.split_regret_mean)),
        Shown(number(m.regret_max), note=_split(m.split_regret_max)),
        Shown(number(m.safe, 1)),
        Shown(f"{m.diverged} of {m.ended}", note=_percents(low, high)),
    )


def _relative(value: float) -> str:
    return "" if np.isnan(value) else f"× {number(float(np.exp(value)))}"


def _split(value: float) -> str:
    return "" if np.isnan(value) else f"split {number(value)}"


def _percents(low: float, high: float) -> str:
    return "" if np.isnan(low) else f"{100 * low:.0f} to {100 * high:.0f} %"
