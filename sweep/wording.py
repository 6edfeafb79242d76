"""Numbers with their nouns."""

from __future__ import annotations


def counted(num: int, noun: str) -> str:
    """`1 trial`, `3 trials`, `1,200 trials`."""
    return f"{num:,} {noun}" if num == 1 else f"{num:,} {noun}s"
