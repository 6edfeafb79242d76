"""A grid's JSON Schema, derived from the classes that check a grid."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from typing import Any

from pydantic.json_schema import PydanticJsonSchemaWarning

from sweep.grid.layout import JsonSchema, Layout

EDITOR_HINT = "# yaml-language-server: $schema="
"""First line of a grid, before the schema's place: editors then complete and check it."""


def make_schema() -> JsonSchema:
    """Return the JSON Schema (draft 2020-12) of a grid's file.

    The schema accepts every grid that `load_grid` accepts. What only the whole grid shows, such as
    a misspelt option of a norm, the schema does not see.
    """
    with warnings.catch_warnings(category=PydanticJsonSchemaWarning, action="ignore"):
        derived = _inline_definitions(Layout.model_json_schema())
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        **derived,
        "title": "A grid of normalization layers, batch sizes and seeds",
    }


def _inline_definitions(derived: Mapping[str, Any]) -> JsonSchema:
    """Return pydantic's schema with each definition in its place.

    The titles and docstrings of classes are left out: editors would show them for fields.
    """
    definitions = derived.get("$defs", {})

    def resolve(value: Any) -> Any:
        """Return a part of the schema with its references replaced and its titles removed."""
        if isinstance(value, list):
            return [resolve(item) for item in value]
        if not isinstance(value, dict):
            return value
        if "$ref" in value:
            rest = {key: item for key, item in value.items() if key != "$ref"}
            definition = dict(definitions[value["$ref"].rpartition("/")[2]])
            definition.pop("description", None)
            return resolve(definition) | resolve(rest)
        return {
            key: {name: resolve(item) for name, item in content.items()}
            if key == "properties"
            else resolve(content)
            for key, content in value.items()
            if key not in ("$defs", "title")
        }

    inlined: JsonSchema = resolve({**derived, "description": None})
    inlined.pop("description")
    return inlined


def list_fields(part: Mapping[str, Any], name: str = "") -> dict[str, JsonSchema]:
    """Return the schema of every field that holds no others, by its dotted name.

    A field that takes a value or a mapping is listed itself, and so are the mapping's fields.

    Args:
        part: the grid's schema, or that of a part of a grid.
        name: dotted name of the part.
    """
    for inner in (part, part.get("items", {}), *part.get("anyOf", ())):
        if "properties" in inner:
            takes_value = any(
                "properties" not in item and item.get("type") != "null"
                for item in part.get("anyOf", ())
            )
            found: dict[str, JsonSchema] = {name: dict(part)} if takes_value else {}
            for key, item in inner["properties"].items():
                found |= list_fields(item, f"{name}.{key}".lstrip("."))
            return found
    return {name: dict(part)}
