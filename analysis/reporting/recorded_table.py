"""Metrics that trials recorded on request, as a frame and as page tables."""

from __future__ import annotations

from collections.abc import Iterator

import pandas as pd

from analysis.findings import Findings
from analysis.formatting import format_half_width, format_mean
from analysis.reporting.tables import PageTable, TableCell
from analysis.statistics.inference.intervals import SeedMean, estimate_mean

CLIPPED_TITLE = "Channels whose r or d was clipped"
_METRICS = {
    "gradient_norm": ("Gradient norm", "L2 norm, mean over the epoch's updates.", 1),
    "clipped_fraction": (f"{CLIPPED_TITLE}, training", "Percent, mean over layers and steps.", 100),
    "test_clipped_fraction": (
        f"{CLIPPED_TITLE}, test",
        "Percent, mean over layers and batches.",
        100,
    ),
    "activation_mean": ("Mean of the watched layer's outputs", "Over training batches.", 1),
    "activation_variance": ("Variance of the watched layer's outputs", "Over training batches.", 1),
}


def tabulate_recorded(findings: Findings) -> pd.DataFrame:
    """Return the mean over seeds of each recorded metric in the last epoch.

    One row per metric, norm and batch size.
    """
    return pd.DataFrame.from_records(
        [
            {
                "metric": metric,
                "norm": norm,
                "batch_size": size,
                "mean": mean.value,
                "half_width_95": mean.half_width,
                "seeds": mean.num,
            }
            for metric in _METRICS
            for (norm, size), mean in _compute_means(findings, metric).items()
        ]
    )


def build_recorded_tables(findings: Findings) -> Iterator[PageTable]:
    """Yield a table for each metric that some trial has recorded."""
    sizes = findings.comparison.batch_sizes
    for metric, (title, meaning, scale) in _METRICS.items():
        means = _compute_means(findings, metric)
        rows = tuple(
            (norm, tuple(_build_metric_cell(means.get((norm, size)), scale) for size in sizes))
            for norm in findings.comparison.norms
            if any((norm, size) in means for size in sizes)
        )
        if rows:
            note = f"{meaning} Last epoch; after ± half a 95 % t interval over seeds."
            yield PageTable(title, ("norm", *map(str, sizes)), rows, (note,))


def _compute_means(findings: Findings, metric: str) -> dict[tuple[str, int], SeedMean]:
    """Return the mean over seeds of a metric in each cell that recorded it."""
    trials = findings.comparison.trials
    if metric not in trials:
        return {}
    known = trials.dropna(subset=[metric])
    cells = dict(iter(known.groupby(["norm", "batch_size"])[metric]))
    return {
        key: estimate_mean(cells[key].to_numpy(float))
        for key in findings.comparison.cells
        if key in cells
    }


def _build_metric_cell(mean: SeedMean | None, scale: float) -> TableCell:
    """Return the table cell of a mean, multiplied by `scale`."""
    if mean is None:
        return TableCell("–")
    scaled = SeedMean(scale * mean.value, scale * mean.sd, scale * mean.half_width, mean.num)
    return TableCell(format_mean(scaled), format_half_width(scaled), note=f"n = {mean.num}")
