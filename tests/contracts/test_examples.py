"""The examples in the docstrings of what the packages export, run as written."""

from __future__ import annotations

import dataclasses
import doctest
import enum
import importlib
import inspect
import re
from collections.abc import Iterator
from types import ModuleType

import pytest
import torch

PACKAGES = (
    "normmods",
    "trainables",
)


def examples(package: str) -> Iterator[doctest.DocTest]:
    """Yield the examples of a package: its own docstring's, and those of its exports."""
    module = importlib.import_module(package)
    yield from collect(module, package)
    for name in exported(module):
        yield from collect(getattr(module, name), f"{package}.{name}")


def exported(module: ModuleType) -> list[str]:
    """Return the exported functions and classes, without exceptions and enumerations."""
    values = {name: getattr(module, name) for name in module.__all__}
    return [
        name
        for name, value in values.items()
        if inspect.isfunction(value)
        or (inspect.isclass(value) and not issubclass(value, BaseException | enum.Enum))
    ]


def collect(value: object, name: str) -> list[doctest.DocTest]:
    # Of a package its own docstring only: the exports are collected one by one.
    finder = doctest.DocTestFinder(recurse=not isinstance(value, ModuleType))
    return [test for test in finder.find(value, name, module=False) if test.examples]


CASES = [test for package in PACKAGES for test in examples(package)]


@pytest.mark.parametrize("example", CASES, ids=lambda test: test.name)
def test_an_example_prints_what_it_says(example: doctest.DocTest) -> None:
    package = importlib.import_module(example.name.partition(".")[0])
    exports = {name: getattr(package, name) for name in package.__all__}
    example.globs = {"torch": torch, package.__name__: package, **exports}
    report: list[str] = []
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        failed, tried = doctest.DocTestRunner().run(example, out=report.append)
    assert tried
    assert not failed, "".join(report)


@pytest.mark.parametrize("package", PACKAGES)
def test_every_export_is_shown_in_an_example(package: str) -> None:
    """A function and a class have one of their own; a class of data is used in any one."""
    module = importlib.import_module(package)
    tests = {test.name: test for test in examples(package)}
    words = {
        word
        for test in tests.values()
        for example in test.examples
        for word in re.findall(r"\w+", example.source)
    }
    missing = [
        name
        for name in exported(module)
        if f"{package}.{name}" not in tests
        and not (dataclasses.is_dataclass(getattr(module, name)) and name in words)
    ]
    assert missing == []
