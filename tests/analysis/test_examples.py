"""The examples in the docstrings of the analysis run and print what they show."""

from __future__ import annotations

import doctest
import importlib
import pkgutil

import pytest

import analysis

MODULES = sorted(
    info.name
    for info in pkgutil.walk_packages(analysis.__path__, "analysis.")
    if info.name != "analysis.__main__"
)
WITHOUT_EXAMPLE = {
    "AnalysisError",
    "Results",
    "WrittenReport",
    "plot_degradation",
    "plot_differences",
    "plot_learning_curves",
    "plot_level_and_slope",
    "summarize_results",
    "write_comparison",
    "write_report",
}
"""Public names whose examples need files or a sweep: docs/analysis-from-python.md has them."""


@pytest.mark.parametrize("name", ["analysis", *MODULES])
def test_every_example_prints_what_it_shows(name: str) -> None:
    result = doctest.testmod(importlib.import_module(name))
    assert not result.failed


def test_public_functions_have_an_example() -> None:
    finder = doctest.DocTestFinder(recurse=False)
    found = {
        name
        for name in analysis.__all__
        if any(test.examples for test in finder.find(getattr(analysis, name), name))
    }
    assert set(analysis.__all__) - found == WITHOUT_EXAMPLE
