"""Comparisons of norms that a careful reviewer would accept, over one tidy frame of trials.

Names are handed on when they are first asked for, so that `python -m analysis --help` and
`import analysis` load neither pandas nor matplotlib.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from analysis.errors import AnalysisError
    from analysis.reporting.summary import headline
    from analysis.reporting.sweep_comparison import compare
    from analysis.reporting.write_report import report
    from analysis.schema import Results
    from analysis.sources.load_results import load_results

__all__ = ["InputError", "Trials", "compare", "headline", "load", "report"]

_HOMES = {
    "InputError": "analysis.errors",
    "Trials": "analysis.schema",
    "compare": "analysis.reporting.sweep_comparison",
    "headline": "analysis.reporting.summary",
    "load": "analysis.sources.load_results",
    "report": "analysis.reporting.write_report",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'analysis' has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)
