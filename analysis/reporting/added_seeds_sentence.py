"""The sentence on seeds that were added after a look at the results."""

from __future__ import annotations

from analysis.formatting import format_ranges, join_words
from analysis.statistics.added_seeds import find_added_seeds
from analysis.statistics.comparison import Comparison


def describe_added_seeds(comparison: Comparison) -> list[str]:
    """Return a sentence on seeds of later runs, for which the 5 % of the claims does not hold."""
    found = find_added_seeds(comparison)
    if found is None:
        return []
    added, first = (_name_seeds(seeds) for seeds in (found.added, found.first))
    verb = "was" if len(found.added) == 1 else "were"
    return [
        f"{added.capitalize()} {verb} begun by a later run, when all trials of {first} had ended "
        "and could be looked at. Where seeds are added because of what was seen, the 5 % of false "
        "claims no longer holds for this report: adding seeds until a difference shows makes 9 to "
        "17 % (simulated). It holds if all of these seeds were planned before the first one ended."
    ]


def _name_seeds(seeds: tuple[int, ...]) -> str:
    """Return words for seeds: `seed 3`, `seeds 0 to 2`."""
    return f"seed{'s'[: len(seeds) > 1]} {join_words(format_ranges(seeds))}"
