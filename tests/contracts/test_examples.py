"""The examples in the docstrings of what the packages export, run as written."""

from __future__ import annotations

import doctest
import importlib
import inspect
import types
from collections.abc import Iterator
from typing import Any

import pytest
import torch

import normmods
import trainables

PACKAGES = (
    "normmods",
    "trainables",
)
NAMES: dict[str, Any] = {"normmods": normmods, "torch": torch, "trainables": trainables}
"""What an example may use without importing it, besides the package's own exports."""


def examples(package: str) -> Iterator[doctest.DocTest]:
    """Yield the examples of a package: its own docstring's, and those of its exports."""
    module = importlib.import_module(package)
    yield from found(module, package)
    for name in module.__all__:
        value = getattr(module, name)
        if inspect.isclass(value) or inspect.isfunction(value):
            yield from found(value, f"{package}.{name}")


def found(value: object, name: str) -> list[doctest.DocTest]:
    # Of a package its own docstring only: the exports are looked at one by one.
    recurse = not isinstance(value, types.ModuleType)
    finder = doctest.DocTestFinder(exclude_empty=True, recurse=recurse)
    return [test for test in finder.find(value, name, module=False) if test.examples]


CASES = [test for package in PACKAGES for test in examples(package)]


@pytest.mark.parametrize("example", CASES, ids=lambda test: test.name)
def test_an_example_prints_what_it_says(
    example: doctest.DocTest, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = importlib.import_module(example.name.partition(".")[0])
    exports = {name: getattr(package, name) for name in package.__all__}
    example.globs = {**NAMES, **exports, "__name__": "__main__"}
    monkeypatch.setattr("sys.modules", {**__import__("sys").modules})
    report: list[str] = []
    with torch.random.fork_rng():
        torch.manual_seed(0)
        failed, _ = doctest.DocTestRunner(optionflags=doctest.NORMALIZE_WHITESPACE).run(
            example, out=report.append
        )
    assert not failed, "".join(report)


@pytest.mark.parametrize("package", PACKAGES)
def test_every_function_and_class_that_is_exported_has_an_example(package: str) -> None:
    module = importlib.import_module(package)
    with_example = {test.name for test in CASES}
    exported = [
        name
        for name in module.__all__
        if inspect.isclass(getattr(module, name)) or inspect.isfunction(getattr(module, name))
    ]
    missing = [name for name in exported if f"{package}.{name}" not in with_example]
    assert missing == []
