"""The factor `seed: {until: decided, from: 3, to: 12}`: seeds until each contrast is decided."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from pydantic import ValidationError

from sweep.grid.layout import SeedsUntilDecided
from sweep.grid.validation_messages import dotted_keys, validation_problems
from sweep.grid.yaml_source import Loc, Source

_PLACE: Loc = ("factors", "seed")


def read_seed_looks(source: Source, value: dict[str, Any]) -> SeedsUntilDecided | None:
    """Return how many seeds are trained before the first look and at most, from the grid's mapping.

    Args:
        source: the grid; what is wrong is added to its problems.
        value: the mapping under `factors.seed`.

    Returns:
        The checked mapping, or None where something in it is wrong.
    """
    try:
        looks = SeedsUntilDecided.model_validate(value)
    except ValidationError as error:
        known = dotted_keys(SeedsUntilDecided, "factors.seed.")
        source.problems.extend(validation_problems(error, source, SeedsUntilDecided, _PLACE, known))
        return None
    if looks.last < looks.first:
        what = f"expected a whole number >= `from` ({looks.first}), found {looks.last}"
        source.add_problem((*_PLACE, "to"), what)
        return None
    return looks


def check_comparable_cells(source: Source, norms: tuple[object, ...]) -> None:
    """Add a problem where a grid whose seeds are decided on has nothing to decide on.

    Args:
        source: the grid; problems are added to it.
        norms: the norms of the grid; a contrast needs two.
    """
    if len(norms) == 1:
        what = "`until: decided` compares norms with a reference: list two norms, or give a count"
        source.add_problem(_PLACE, what)
    for loc in _find_rules_with_seeds(source.data):
        what = "`until: decided` needs every seed in every cell: a rule must not name seeds"
        source.add_problem(loc, what)


def _find_rules_with_seeds(data: dict[str, Any]) -> Iterator[Loc]:
    """Yield the place of each rule that names seeds."""
    for name, key in (("overrides", "when"), ("exclude", None)):
        rules = data.get(name)
        for i, rule in enumerate(rules if isinstance(rules, list) else []):
            levels = rule.get(key) if key and isinstance(rule, dict) else rule
            if isinstance(levels, dict) and "seed" in levels:
                yield (name, i, key, "seed") if key else (name, i, "seed")
