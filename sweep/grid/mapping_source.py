"""A grid that is given as a mapping, checked as its YAML file would be."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from sweep.errors import GridError, Problem
from sweep.grid.yaml_source import Loc, Source, format_location, parse_text

MAPPING_PATH = Path("GRID")
"""Stands for the file of a grid that has none, in messages and in commands to type."""

MAX_DEPTH = 50
"""Levels of mappings and lists within each other; a grid needs about six."""


def read_mapping(grid: Mapping[str, Any]) -> Source:
    """Return the grid's plain data, with no lines; raises `GridError` for values YAML has not."""
    problems: list[Problem] = []
    plain = _plain(grid, (), problems)
    if problems:
        raise GridError("", problems)
    try:
        # JSON is YAML: text keeps its quotes, so that no "1e5" becomes a number.
        source = parse_text(json.dumps(plain, ensure_ascii=False), MAPPING_PATH)
    except GridError as error:
        without_lines = [Problem(0, problem.where, problem.what) for problem in error.problems]
        raise GridError("", without_lines) from None
    source.lines.clear()
    return source


def _plain(value: Any, loc: Loc, problems: list[Problem]) -> Any:
    """Return a value converted to JSON's types; a value without such a type adds a problem."""
    if len(loc) > MAX_DEPTH:
        problems.append(Problem(0, format_location(loc[:3]), "nested too deeply"))
        return None
    if isinstance(value, Mapping):
        for key in value:
            if not isinstance(key, str):
                what = f"expected text as a key, found {key!r}"
                problems.append(Problem(0, format_location(loc), what))
        return {str(key): _plain(item, (*loc, str(key)), problems) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item, (*loc, i), problems) for i, item in enumerate(value)]
    if value is None or isinstance(value, str | bool | int | float):
        return value
    what = f"expected a number, text, list or mapping, found a {type(value).__name__}"
    problems.append(Problem(0, format_location(loc), what))
    return None
