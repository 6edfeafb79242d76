"""The one line by which an error is told everywhere: its type and its message's first line."""

from __future__ import annotations

HEADER = "Traceback (most recent call last):"


def error_line(traceback: str) -> str:
    """`RuntimeError: singular matrix`, of a traceback or of an error without one.

    Of an error that came of another, the last traceback counts. Empty where there is no text.
    """
    lines = traceback.strip().splitlines()
    if HEADER in lines:
        lines = lines[len(lines) - lines[::-1].index(HEADER) :]
    return next((line for line in lines if line and not line[0].isspace()), "")
