"""`report.json`: every number of the report, for programs."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from analysis.findings import Findings
from analysis.reporting.block_section import tabulate_over_blocks
from analysis.reporting.failure_rate_table import tabulate_failure_rates
from analysis.reporting.measure_table import tabulate_norm_measures
from analysis.reporting.power_sentences import describe_power
from analysis.reporting.published_table import tabulate_published
from analysis.reporting.recorded_table import tabulate_recorded
from analysis.reporting.statistics_or_sgd_section import tabulate_harm
from analysis.reporting.statistics_table import tabulate_test_statistics
from analysis.reporting.summary import write_answer
from analysis.reporting.tables import tabulate_cell_errors, tabulate_contrasts, tabulate_top5_errors
from analysis.reporting.test_set_table import tabulate_test_set_contrasts
from analysis.reporting.time_table import tabulate_times
from analysis.reporting.trial_coverage import describe_coverage, list_missing_trials
from analysis.schema import Results
from analysis.statistics.comparison import Comparison
from analysis.statistics.inference.intervals import ALPHA
from analysis.statistics.inference.power import estimate_detectable_difference
from analysis.statistics.norms_over_blocks import compare_over_blocks
from analysis.statistics.statistics_or_sgd import separate_harm


def format_report_json(results: Results, all_findings: Sequence[Findings]) -> str:
    """Return the report's numbers as JSON, errors in percent; missing numbers are null."""
    content: dict[str, object] = {
        "name": results.name,
        "warnings": results.warnings,
        "notes": results.notes,
        "comparisons": [_collect_comparison(item) for item in all_findings],
    }
    apart = tabulate_harm(separate_harm([item.comparison for item in all_findings]))
    content |= {"statistics_or_sgd": apart} if len(apart) else {}
    over_blocks = compare_over_blocks([item.comparison for item in all_findings])
    content |= {"over_blocks": tabulate_over_blocks(over_blocks)} if over_blocks else {}
    return (
        json.dumps(_convert_to_json_types(content), indent=1, ensure_ascii=False, allow_nan=False)
        + "\n"
    )


def _collect_comparison(findings: Findings) -> dict[str, Any]:
    """Return the numbers of one comparison."""
    comparison = findings.comparison
    return {
        "label": comparison.label,
        "reference": comparison.reference,
        "norms": comparison.norms,
        "batch_sizes": comparison.batch_sizes,
        "auec_batch_sizes": comparison.common_batch_sizes,
        "margin": findings.margin,
        "threshold": findings.threshold,
        "answer": write_answer(findings),
        "coverage": describe_coverage(comparison),
        "missing": list_missing_trials(comparison),
        "power": describe_power(findings),
        "test": str(comparison.test),
        "seeding": comparison.seeding,
        "verdicts": _list_verdicts(findings),
        "errors": tabulate_cell_errors(comparison),
        "gaps": tabulate_contrasts(findings),
        "measures": tabulate_norm_measures(findings),
        "times_to_threshold": tabulate_times(findings),
        **_collect_recorded(findings),
        "best": _list_best_norms(comparison),
        "published": tabulate_published(findings),
        "settings": findings.settings,
    }


def _list_verdicts(findings: Findings) -> list[dict[str, Any]]:
    """Return the verdict on each declared contrast, and the difference that would be found."""
    rows = []
    for gap in findings.comparison.declared_contrasts:
        level = ALPHA / max(gap.family_size, 1)
        found = estimate_detectable_difference(gap.estimate, alpha=level)
        rows.append(
            {
                "norm": gap.norm,
                "measure": str(gap.measure),
                "verdict": str(findings.decide(gap)),
                "crosses": gap.norm in findings.crossings,
                "low": gap.low,
                "high": gap.high,
                "interval_level": 1 - gap.interval_alpha,
                "family_size": gap.family_size,
                "smallest_detectable": found.value,
                "smallest_detectable_low_95": found.low,
                "smallest_detectable_high_95": found.high,
            }
        )
    return rows


def _collect_recorded(findings: Findings) -> dict[str, pd.DataFrame]:
    """Return the tables that only sweeps with requested metrics have."""
    frames = {
        "failure_rates": tabulate_failure_rates(findings),
        "test_statistics": tabulate_test_statistics(findings),
        "top5_errors": tabulate_top5_errors(findings),
        "test_set": tabulate_test_set_contrasts(findings),
        "recorded": tabulate_recorded(findings),
    }
    return {name: frame for name, frame in frames.items() if len(frame)}


def _list_best_norms(comparison: Comparison) -> list[dict[str, Any]]:
    """Return the best norm at each batch size, and by AUEC."""
    rows = []
    for size in (None, *comparison.batch_sizes):
        best = comparison.get_best_norm(size)
        if best:
            rows.append(
                {
                    "batch_size": size,
                    "norm": best.norm,
                    "rivals": best.not_separated,
                    "untested": best.untested,
                    "tied": best.tied,
                    "contrary": best.sign_reversed,
                }
            )
    return rows


def _convert_to_json_types(value: Any) -> Any:
    """Return `value` in JSON's own types, with None for a missing number."""
    if isinstance(value, pd.DataFrame):
        return [_convert_to_json_types(row) for row in value.to_dict("records")]
    if isinstance(value, Mapping):
        return {str(key): _convert_to_json_types(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_convert_to_json_types(item) for item in value]
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, float) and not np.isfinite(value):
        return None
    return value
