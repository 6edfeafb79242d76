"""The option `--set train.epochs=2`: fields of a grid that a command replaces."""

from __future__ import annotations

from collections.abc import Iterable

from sweep.errors import RefusedError
from sweep.grid.yaml_source import Loc, Source, parse_value


def apply_changes(source: Source, changes: Iterable[str]) -> None:
    """Set fields of a grid that was read, and make the sections that are missing.

    Whether the fields exist is checked later, with those of the file.

    Args:
        source: the grid; its data are a mapping.
        changes: texts `FIELD=VALUE`; the value is YAML, so `[0, 1]` is a list.

    Raises:
        RefusedError: a text is of another form, or names a field below something that is no
            section.
    """
    for change in changes:
        name, sign, text = change.partition("=")
        path = name.split(".")
        if path[0] == "factors":  # whose names have dots themselves
            path = ["factors", ".".join(path[1:])] if path[1:] else path
            source.replaced_factors.update(path[1:])
        elif name in _as_mapping(source.data.get("factors")):
            raise RefusedError(f"--set {name}: it is a factor here; set factors.{name}=[...]")
        if not sign or not all(part.replace("_", "").isalnum() for part in name.split(".")):
            raise RefusedError(
                f"--set: expected FIELD=VALUE such as train.epochs=2, found {change!r}"
            )
        _set_field(source, tuple(path), parse_value(text, f"--set {name}"))


def _as_mapping(value: object) -> dict[str, object]:
    """Return `value` if it is a dictionary, else an empty one."""
    return value if isinstance(value, dict) else {}


def _set_field(source: Source, path: Loc, value: object) -> None:
    """Set the value at a place of the grid's data, and drop the line numbers of the old value."""
    section = source.data
    for length, part in enumerate(path[:-1], start=1):
        section = section.setdefault(part, {})
        if not isinstance(section, dict):
            where = ".".join(map(str, path[:length]))
            raise RefusedError(f"--set {'.'.join(map(str, path))}: {where} is not a section")
    section[path[-1]] = value
    for known in [loc for loc in source.lines if loc[: len(path)] == path]:
        del source.lines[known]
    source.lines[path] = 0
