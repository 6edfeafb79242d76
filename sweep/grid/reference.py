"""The reference of a grid's fields, in Markdown, from its JSON schema."""

from __future__ import annotations

import json
from collections.abc import Mapping

from normmods.option_values import LARGEST_INT
from sweep.grid.layout import IMPORT_PATH_PATTERN, JsonSchema
from sweep.grid.schema import list_fields, make_schema

HEAD = """# Every field of a grid

`norm-sweep init` writes a grid with comments to start from. This page is made from the
schema that checks grids (`norm-sweep schema`), which editors use to complete and check one
while it is written: the first line of a grid, `# yaml-language-server: $schema=…`, tells them
where it is.

Any field of `data`, `model` and `train` can be a factor, by its dotted name, and can be set in
some trials only under `overrides`. `--set train.epochs=2` on a command line replaces a field for
that command.
"""
TITLES = {
    "": "The sweep",
    "factors": "What is crossed",
    "data": "Data",
    "model": "Model",
    "train": "Training",
    "overrides": "Exceptions",
    "resources": "Resources",
    "tracking": "Tracking",
}
"""Headings by section; the fields that lie in no section come first."""

WITH_SUBSECTIONS = ("factors", "data", "model", "train")


def format_reference() -> str:
    """Return the text of `docs/grid.md`: a table of fields for each section."""
    schema = make_schema()
    fields = list_fields(schema)
    parts = [HEAD]
    for section, title in TITLES.items():
        of_section = {
            name: field
            for name, field in fields.items()
            if name.rpartition(".")[0] == section
            or (section in WITH_SUBSECTIONS and name.startswith(f"{section}."))
        }
        parts.append(_format_table(title, schema["properties"].get(section, {}), of_section))
    return "\n".join(parts)


def _format_table(title: str, section: JsonSchema, fields: Mapping[str, JsonSchema]) -> str:
    """Return a section's heading, its description and a row for each of its fields."""
    lines = [f"## {title}", ""]
    lines += [section["description"], ""] if "description" in section else []
    lines += ["| Field | Values | Unless given | Meaning |", "|---|---|---|---|"]
    for name, field in fields.items():
        row = (f"`{name}`", _format_values(field), _format_default(field), field["description"])
        lines.append(f"| {' | '.join(row)} |")
    other = section.get("additionalProperties")
    if isinstance(other, dict):
        lines.append(f"| any other | list | | {other['description']} |")
    return "\n".join(lines) + "\n"


def _format_values(field: JsonSchema) -> str:
    """Return which values a field takes, in words."""
    for kind in ("anyOf", "oneOf"):
        if kind in field:
            some = [_format_values(item) for item in field[kind] if item.get("type") != "null"]
            return " or ".join(dict.fromkeys(some))
    if "enum" in field:
        return ", ".join(f"`{value}`" for value in field["enum"])
    if "const" in field:
        return f"`{field['const']}`"
    if field.get("pattern") == IMPORT_PATH_PATTERN:
        return "`module:attribute`"
    if field.get("type") == "array":
        return f"list of {_format_values(field.get('items', {}))}"
    kind = field.get("type", "")
    word = {"integer": "whole number", "number": "number", "boolean": "`true`, `false`"}.get(kind)
    word = word or {"string": "text", "object": "mapping"}.get(kind, "any")
    return " ".join([word, *_format_bounds(field)])


def _format_bounds(field: JsonSchema) -> list[str]:
    """Return the bounds of a number: `≥ 1`, or `1 to 10,000`."""
    if field.get("maximum") == LARGEST_INT:  # a bound of the machine, which no one comes near
        return [f"≥ {field['minimum']}"]
    if "minimum" in field and "maximum" in field:
        return [f"{_format_number(field['minimum'])} to {_format_number(field['maximum'])}"]
    signs = {
        "minimum": "≥",
        "exclusiveMinimum": ">",
        "maximum": "≤",
        "exclusiveMaximum": "<",
    }
    return [f"{sign} {field[name]:g}" for name, sign in signs.items() if name in field]


def _format_number(number: float) -> str:
    """Return a number as text: whole numbers with separators of thousands."""
    return f"{number:,}" if isinstance(number, int) else f"{number:g}"


def _format_default(field: JsonSchema) -> str:
    """Return the default as YAML has it; empty for none."""
    if field.get("default") in (None, [], {}, ""):
        return ""
    return f"`{json.dumps(field['default'])}`".replace('"', "")
