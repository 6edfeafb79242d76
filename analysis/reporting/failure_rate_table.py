"""Rates of failure to learn by batch size: as a frame, as a page table, and in sentences."""

from __future__ import annotations

import numpy as np
import pandas as pd

from analysis.findings import Findings
from analysis.formatting import format_p, format_p_relation, join_words
from analysis.reporting.tables import PageTable, TableCell
from analysis.statistics.failure_rates import FailureRate


def tabulate_failure_rates(findings: Findings) -> pd.DataFrame:
    """Return one row per cell with a result; empty where every trial has learnt something."""
    rates = findings.failure_rates
    if not any(rate.failed for rate in rates.values()):
        return pd.DataFrame()
    return pd.DataFrame.from_records(
        [
            {
                "norm": rate.norm,
                "batch_size": rate.batch_size,
                "learnt_nothing": rate.failed,
                "diverged": rate.diverged,
                "trials": rate.ended,
                "rate": rate.failed / rate.ended,
                "rate_low_95": rate.interval[0],
                "rate_high_95": rate.interval[1],
                "p": rate.p,
                "p_holm": findings.failure_p[key],
            }
            for key, rate in rates.items()
        ]
    )


def build_failure_table(findings: Findings) -> PageTable | None:
    """Return the page table of failure rates; None where every trial has learnt something."""
    comparison, rates = findings.comparison, findings.failure_rates
    if not any(rate.failed for rate in rates.values()):
        return None
    rows = tuple(
        (
            norm,
            tuple(
                _build_cell(rates.get((norm, size)), findings.failure_p.get((norm, size), np.nan))
                for size in comparison.batch_sizes
            ),
        )
        for norm in comparison.norms
        if any(key[0] == norm for key in rates)
    )
    return PageTable(
        "Trials that learnt nothing",
        ("norm", *map(str, comparison.batch_sizes)),
        rows,
        (
            "Trials that diverged (†) or ended at the error of guessing, of all that ended; below, "
            "Clopper and Pearson's 95 % interval of the rate, and where one of the two failed p of "
            f"Fisher's exact test against {comparison.reference} at that batch size, adjusted by "
            "Holm over all of the report. Exploratory. Batch sizes are not pooled.",
        ),
    )


def _build_cell(rate: FailureRate | None, p_adjusted: float) -> TableCell:
    """Return the table cell of one failure rate."""
    if rate is None:
        return TableCell("–")
    notes = [_format_interval(rate)]
    notes += [f"p {format_p(p_adjusted)}"] * (not np.isnan(p_adjusted))
    notes += [f"† {rate.diverged} diverged"] * bool(rate.diverged)
    return TableCell(
        f"{rate.failed} of {rate.ended}", note="\n".join(notes), diverged=bool(rate.diverged)
    )


def _format_interval(rate: FailureRate) -> str:
    """Return the interval of a rate in percent."""
    low, high = rate.interval
    return f"{100 * low:.0f} to {100 * high:.0f} %"


def describe_failure_contrast(findings: Findings, norm: str) -> str:
    """Return a sentence that compares how often a norm and the reference learn; mostly empty.

    Not empty only where some seeds of either learnt and others did not, at a batch size of AUEC:
    errors then lie in two heaps, and their mean difference is not what is to be told.
    """
    comparison, rates = findings.comparison, findings.failure_rates
    pairs = [
        (rates[norm, size], rates[comparison.reference, size])
        for size in comparison.common_batch_sizes
        if (norm, size) in rates and (comparison.reference, size) in rates
    ]
    if not any(rate.is_partial for pair in pairs for rate in pair):
        return ""
    parts = [_describe_pair(findings, *pair) for pair in pairs if pair[0].failed or pair[1].failed]
    return (
        f"{norm} and {comparison.reference} are compared by how often they learn, and not by mean "
        f"error, since only some seeds do: {'; '.join(parts)}."
    )


def _describe_pair(findings: Findings, norm: FailureRate, reference: FailureRate) -> str:
    """Return a clause on the failures of a norm and of the reference at one batch size."""
    told = join_words(
        [
            f"{rate.failed} of {rate.ended} trials of {rate.norm} ({_format_interval(rate)})"
            for rate in (norm, reference)
        ]
    )
    p = format_p_relation(findings.failure_p[norm.norm, norm.batch_size])
    return f"at batch size {norm.batch_size} {told} learnt nothing (exact p {p} after Holm)"
