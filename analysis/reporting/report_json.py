"""`report.json`: every number of the report, for programs."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from analysis.findings import Findings
from analysis.reporting.measure_table import measure_frame
from analysis.reporting.power_sentences import power
from analysis.reporting.published_table import published_frame
from analysis.reporting.recorded_table import recorded_frame
from analysis.reporting.statistics_or_sgd_section import unconfounded_frame
from analysis.reporting.statistics_table import statistics_frame
from analysis.reporting.summary import answer
from analysis.reporting.tables import error_frame, gap_frame, top5_frame
from analysis.reporting.test_set_table import test_set_frame
from analysis.reporting.time_table import time_frame
from analysis.reporting.trial_coverage import coverage, missing_trials
from analysis.schema import Results
from analysis.statistics.comparison import Comparison
from analysis.statistics.inference.intervals import ALPHA
from analysis.statistics.inference.power import compute_detectable_difference
from analysis.statistics.statistics_or_sgd import separate_harm


def numbers(trials: Results, found: Sequence[Findings]) -> str:
    """The report's numbers as JSON; what is missing is null. Errors in percent."""
    content: dict[str, object] = {
        "name": trials.name,
        "warnings": trials.warnings,
        "notes": trials.notes,
        "comparisons": [_comparison(item) for item in found],
    }
    apart = unconfounded_frame(separate_harm([item.comparison for item in found]))
    content |= {"statistics_or_sgd": apart} if len(apart) else {}
    return json.dumps(_plain(content), indent=1, ensure_ascii=False, allow_nan=False) + "\n"


def _comparison(findings: Findings) -> dict[str, Any]:
    comparison = findings.comparison
    gaps = comparison.declared_contrasts
    return {
        "label": comparison.label,
        "reference": comparison.reference,
        "norms": comparison.norms,
        "batch_sizes": comparison.batch_sizes,
        "auec_batch_sizes": comparison.common_batch_sizes,
        "margin": findings.margin,
        "threshold": findings.threshold,
        "answer": answer(findings),
        "coverage": coverage(comparison),
        "missing": missing_trials(comparison),
        "power": power(findings),
        "smallest_detectable_sd": {
            gap.norm: compute_detectable_difference(gap.difference.paired.num) for gap in gaps
        },
        "smallest_detectable_sd_holm": {
            gap.norm: compute_detectable_difference(
                gap.difference.paired.num, alpha=ALPHA / gap.family_size
            )
            for gap in gaps
            if gap.family_size
        },
        "p_equivalence_holm": findings.equivalent,
        "errors": error_frame(comparison),
        "gaps": gap_frame(comparison),
        "measures": measure_frame(findings),
        "times_to_threshold": time_frame(findings),
        **_where_recorded(findings),
        "best": _best(comparison),
        "published": published_frame(findings),
        "settings": findings.settings,
    }


def _where_recorded(findings: Findings) -> dict[str, pd.DataFrame]:
    """What only sweeps that asked for further metrics have."""
    frames = {
        "test_statistics": statistics_frame(findings),
        "top5_errors": top5_frame(findings),
        "test_set": test_set_frame(findings),
        "recorded": recorded_frame(findings),
    }
    return {name: frame for name, frame in frames.items() if len(frame)}


def _best(comparison: Comparison) -> list[dict[str, Any]]:
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


def _plain(value: Any) -> Any:
    """JSON's own types, with null for what is missing."""
    if isinstance(value, pd.DataFrame):
        return [_plain(row) for row in value.to_dict("records")]
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, float) and not np.isfinite(value):
        return None
    return value
