from __future__ import annotations

import traceback
from concurrent.futures import ThreadPoolExecutor

import pytest

from sweep.execution.error_line import error_line


def raised(error: Exception) -> str:
    with ThreadPoolExecutor(1) as pool:
        future = pool.submit(_raise, error)
    found = future.exception()
    assert found is not None
    return "".join(traceback.format_exception(found))


def _raise(error: Exception) -> None:
    try:
        _ = {}["first"]
    except KeyError:
        raise error  # noqa: B904 - a traceback of two errors


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (RuntimeError("singular matrix\nsecond line"), "RuntimeError: singular matrix"),
        (RuntimeError("singular matrix\n  an indented one"), "RuntimeError: singular matrix"),
        (ValueError(), "ValueError"),
        (ValueError("Caught it.\nOriginal Traceback (most recent call last):\n  f()\nKeyError: 1"),
         "ValueError: Caught it."),
    ],
)  # fmt: skip
def test_an_error_is_told_by_its_type_and_its_messages_first_line(
    error: Exception, expected: str
) -> None:
    assert error_line(raised(error)) == expected


def test_an_error_without_a_traceback_is_told_by_its_first_line() -> None:
    assert error_line("the worker ended\nby a signal") == "the worker ended"
    assert error_line("\n") == ""
