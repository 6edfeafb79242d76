"""Numbers and ranges in words."""

from __future__ import annotations

from collections.abc import Sequence


def count_noun(num: int, noun: str) -> str:
    """Return `1 trial`, `3 trials`, `1,200 trials`."""
    return f"{num:,} {noun}" if num == 1 else f"{num:,} {noun}s"


def format_step_ranges(ranges: Sequence[Sequence[int | None]]) -> str:
    """Return `steps 300 to 420, from step 900 on`; steps count from 0, an end is exclusive."""
    return ", ".join(
        f"from step {first} on" if end is None else f"steps {first} to {end}"
        for first, end in ranges
    )
