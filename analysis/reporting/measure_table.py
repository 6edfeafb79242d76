"""The robustness measures and the times to the threshold, as frames and as page tables."""

from __future__ import annotations

from dataclasses import asdict

import numpy as np
import pandas as pd

from analysis.findings import Findings
from analysis.inference import Mean
from analysis.measures import Measures
from analysis.reporting.tables import Shown, Table, margin
from analysis.survival import UNITS, kaplan_meier, restricted_mean
from analysis.wording import number, signed


def measure_frame(findings: Findings) -> pd.DataFrame:
    """One row per norm, one column per measure; intervals as `_low_95` and `_high_95`."""
    rows = []
    for measures in findings.measures.values():
        row: dict[str, object] = {}
        for name in asdict(measures):
            value = getattr(measures, name)
            if isinstance(value, Mean):
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
    level = Table(
        "Level and slope",
        ("norm", "AUEC", f"D({smallest})", "slope", "last octave", "worst"),
        tuple((norm, _level(measures)) for norm, measures in found),
        (
            "AUEC: error averaged over batch sizes on the log axis, %. D: rise of error from the "
            "largest batch, points; below, as a factor. Slope: points per halving of the batch, "
            "by least squares, and over the last octave alone. Worst: highest mean error, %.",
        ),
    )
    safety = Table(
        "Regret and safety",
        ("norm", "mean regret", "max regret", "safe range (octaves)", "diverged"),
        tuple((norm, _safety(measures)) for norm, measures in found),
        (
            "Regret: mean error above the lowest norm's, points, over batch sizes; it comes out "
            "too large, as the lowest of noisy means is too low. Below, without this bias: the "
            "best chosen on half the seeds, scores from the rest.",
            "Safe range: how often the batch can be halved before the 95 % upper bound of D "
            f"passes {number(findings.margin, 1)} points. Diverged: of all trials that ended; "
            "below, Clopper and Pearson's 95 % interval.",
        ),
    )
    return level, safety


def _level(m: Measures) -> tuple[Shown, ...]:
    return (
        Shown(number(m.auec.value), margin(m.auec)),
        Shown(signed(m.degradation.value), margin(m.degradation), _relative(m.relative.value)),
        Shown(signed(m.slope.value), margin(m.slope)),
        Shown(signed(m.last_octave.value), margin(m.last_octave)),
        Shown(number(m.worst)),
    )


def _safety(m: Measures) -> tuple[Shown, ...]:
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


def time_frame(findings: Findings) -> pd.DataFrame:
    """Per cell how many trials reached the threshold, and the restricted mean time in each unit.

    The horizon is the longest any trial was watched at that batch size.
    """
    times = findings.times
    if times is None:
        return pd.DataFrame()
    rows = []
    for (norm, size), part in times.groupby(["norm", "batch_size"], sort=False):
        reached = part["reached"].to_numpy(bool)
        row = {"norm": norm, "batch_size": size, "trials": len(part), "reached": int(reached.sum())}
        for unit in UNITS:
            horizon = float(times.loc[times["batch_size"] == size, unit].max())
            curve = kaplan_meier(part[unit].to_numpy(float), reached)
            row |= {f"mean_{unit}": restricted_mean(curve, horizon), f"horizon_{unit}": horizon}
        rows.append(row)
    return pd.DataFrame.from_records(rows)


def time_table(findings: Findings) -> Table | None:
    """Restricted mean times to the threshold as a page shows them."""
    frame = time_frame(findings)
    if frame.empty:
        return None
    cells = {(row["norm"], row["batch_size"]): row for row in frame.to_dict("records")}
    sizes = [b for b in findings.comparison.batch_sizes if b in set(frame["batch_size"])]
    norms = [n for n in findings.comparison.norms if n in set(frame["norm"])]
    rows = tuple((norm, tuple(_time(cells.get((norm, size))) for size in sizes)) for norm in norms)
    return Table(
        f"Epochs to {number(findings.threshold or 0, 1)} % test error",
        ("norm", *map(str, sizes)),
        rows,
        (
            "Restricted mean (Kaplan-Meier) of the epochs until the error has stayed at or below "
            "the threshold for three evaluations; below, trials that reached it, and the mean in "
            "updates and seconds. Trials that never reach it or diverge are censored at the end.",
        ),
    )


def _time(row: dict[object, object] | None) -> Shown:
    if row is None:
        return Shown("")
    updates, seconds = float(str(row["mean_updates"])), float(str(row["mean_seconds"]))
    note = f"{row['reached']} of {row['trials']}\n{updates:,.0f} updates\n{seconds:,.1f} s"
    return Shown(number(float(str(row["mean_epochs"])), 1), note=note)
