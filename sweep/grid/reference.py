"""The reference of a grid's fields, in Markdown, from its schema."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from normmods.option_values import LARGEST_INT
from sweep.grid.meanings import MEANINGS
from sweep.grid.schema import IMPORT_PATH, fields

HEAD = """# Every field of a grid

`norm-sweep init` writes a grid with comments to start from. This page is made from the
schema that checks grids (`norm-sweep schema`), which editors use to complete and check one
while it is written: the first line of a grid, `# yaml-language-server: $schema=…`, tells them
where it is.

Any field of `data`, `model` and `train` can be a factor, by its dotted name, and can be set in
some trials only under `overrides`. `--set train.epochs=2` on a command line replaces a field for
that command.
"""
SECTIONS = {
    "": "The sweep",
    "factors": "What is crossed",
    "data": "Data",
    "model": "Model",
    "train": "Training",
    "overrides": "Exceptions",
    "resources": "Resources",
    "tracking": "Tracking",
}
FURTHER = "factors.further"


def reference() -> str:
    """`docs/grid.md`."""
    found = fields()
    parts = [HEAD]
    for section, title in SECTIONS.items():
        own = {name: field for name, field in found.items() if name.rpartition(".")[0] == section}
        if section in ("data", "model", "train"):
            own = {name: field for name, field in found.items() if name.startswith(f"{section}.")}
        parts.append(_table(title, MEANINGS.get(section, ""), own))
    return "\n".join(parts)


def _table(title: str, meaning: str, own: Mapping[str, dict[str, Any]]) -> str:
    lines = [f"## {title}", ""]
    lines += [meaning, ""] if meaning else []
    lines += ["| Field | Values | Unless given | Meaning |", "|---|---|---|---|"]
    for name, field in own.items():
        row = (f"`{name}`", _values(field), _default(field), MEANINGS[name])
        lines.append(f"| {' | '.join(row)} |")
    if title == SECTIONS["factors"]:
        lines.append(f"| any other | list | | {MEANINGS[FURTHER]} |")
    return "\n".join(lines) + "\n"


def _values(field: Mapping[str, Any]) -> str:
    for kind in ("anyOf", "oneOf"):
        if kind in field:
            some = [_values(item) for item in field[kind] if item.get("type") != "null"]
            return " or ".join(dict.fromkeys(some))
    if "enum" in field:
        return ", ".join(f"`{value}`" for value in field["enum"])
    if "const" in field:
        return f"`{field['const']}`"
    if field.get("pattern") == IMPORT_PATH:
        return "`module:attribute`"
    if field.get("type") == "array":
        return f"list of {_values(field.get('items', {}))}"
    kind = field.get("type", "")
    word = {"integer": "whole number", "number": "number", "boolean": "`true`, `false`"}.get(kind)
    limits = [
        f"{sign} {field[name]:g}"
        for name, sign in (
            *(("minimum", "≥"), ("exclusiveMinimum", ">")),
            *(("maximum", "≤"), ("exclusiveMaximum", "<")),
        )
        if name in field
    ]
    if field.get("maximum") == LARGEST_INT:  # a bound of the machine, which no one comes near
        limits = [f"≥ {field['minimum']}"]
    elif "minimum" in field and "maximum" in field:
        limits = [f"{_short(field['minimum'])} to {_short(field['maximum'])}"]
    return " ".join([word or {"string": "text", "object": "mapping"}.get(kind, "any"), *limits])


def _short(number: float) -> str:
    return f"{number:,}" if isinstance(number, int) else f"{number:g}"


def _default(field: Mapping[str, Any]) -> str:
    if field.get("default") in (None, [], {}, ""):
        return ""
    return f"`{json.dumps(field['default'])}`".replace('"', "")
