"""Comparisons of norms over batch sizes: results as data frames, statistics, figures, reports.

>>> import pandas as pd
>>> import analysis
>>> rows = [("bn", 8, 0, 6.0), ("bn", 2, 0, 10.0), ("gn", 8, 0, 6.0), ("gn", 2, 0, 7.0)]
>>> frame = pd.DataFrame(rows, columns=["norm", "batch_size", "seed", "test_error"])
>>> results = analysis.load_results(frame)
>>> analysis.tabulate_measures(results)["auec"].tolist()
[8.0, 6.5]

Names are imported when they are first used, so that `python -m analysis --help` and
`import analysis` load neither pandas nor matplotlib.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from analysis.errors import AnalysisError
    from analysis.interface import (
        WrittenReport,
        compare,
        compare_sweeps,
        tabulate_errors,
        tabulate_measures,
        write_comparison,
        write_report,
    )
    from analysis.plots import (
        plot_degradation,
        plot_differences,
        plot_error_by_batch_size,
        plot_learning_curves,
        plot_level_and_slope,
    )
    from analysis.reporting.summary import summarize_results
    from analysis.schema import Results
    from analysis.sources.load_results import load_results
    from analysis.sources.merge_results import merge_results

__all__ = [
    "AnalysisError",
    "Results",
    "WrittenReport",
    "compare",
    "compare_sweeps",
    "load_results",
    "merge_results",
    "plot_degradation",
    "plot_differences",
    "plot_error_by_batch_size",
    "plot_learning_curves",
    "plot_level_and_slope",
    "summarize_results",
    "tabulate_errors",
    "tabulate_measures",
    "write_comparison",
    "write_report",
]

_OTHER_MODULES = {
    "AnalysisError": "analysis.errors",
    "Results": "analysis.schema",
    **dict.fromkeys(
        (
            "plot_degradation",
            "plot_differences",
            "plot_error_by_batch_size",
            "plot_learning_curves",
            "plot_level_and_slope",
        ),
        "analysis.plots",
    ),
    "load_results": "analysis.sources.load_results",
    "merge_results": "analysis.sources.merge_results",
    "summarize_results": "analysis.reporting.summary",
}
"""Modules of the public names that `analysis.interface` does not define."""


def __getattr__(name: str) -> Any:
    """Return a public name, imported when it is first used."""
    if name not in __all__:
        raise AttributeError(f"module 'analysis' has no attribute {name!r}")
    return getattr(import_module(_OTHER_MODULES.get(name, "analysis.interface")), name)
