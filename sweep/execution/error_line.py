"""Shortens a traceback to the line that is shown of an error everywhere."""

from __future__ import annotations

HEADER = "Traceback (most recent call last):"


def error_line(traceback: str) -> str:
    """Return an error's type and its message's first line: `RuntimeError: singular matrix`.

    Args:
        traceback: the text of a traceback, of which the last one counts where it holds several, or
            of an error without one; the result of an empty text is empty.
    """
    lines = traceback.strip().splitlines()
    if HEADER in lines:
        lines = lines[len(lines) - lines[::-1].index(HEADER) :]
    return next((line for line in lines if line and not line[0].isspace()), "")
