"""A grid's JSON Schema, from the classes that check one."""

from __future__ import annotations

import re
import warnings
from collections.abc import Mapping
from typing import Any

from pydantic import TypeAdapter
from pydantic.json_schema import PydanticJsonSchemaWarning

import normmods
from normmods.option_values import LARGEST_INT
from sweep.grid.factors import MOST_SEEDS, OPTIONS, REQUIRED, SECTIONS, settable
from sweep.grid.meanings import MEANINGS
from sweep.grid.model import Layout

EDITOR_HINT = "# yaml-language-server: $schema="
"""First line of a grid, before the schema's place: editors then complete and check it."""

Schema = dict[str, Any]

IMPORT_PATH = ":"
NORM_NAME: Schema = {
    "anyOf": [
        {"enum": list(normmods.names())},
        {"pattern": IMPORT_PATH},
    ]
}
NORM: Schema = {
    "oneOf": [
        {"type": "string", **NORM_NAME},
        {
            "type": "object",
            "required": ["name"],
            "properties": {"name": {"type": "string", **NORM_NAME}},
        },
    ]
}
FIELD: Schema = {
    "anyOf": [
        {"enum": settable()},
        {"pattern": f"^({'|'.join(map(re.escape, OPTIONS))})[.].+"},
    ]
}
SET: Schema = {"anyOf": [*FIELD["anyOf"], {"pattern": "^norm[.].+"}]}
FACTOR: Schema = {"anyOf": [{"enum": list(REQUIRED)}, *FIELD["anyOf"]]}


def _levels(**of: Any) -> Schema:
    return {"type": "array", "minItems": 1, "uniqueItems": True, **of}


FACTORS: Schema = {
    "type": "object",
    "required": list(REQUIRED),
    "properties": {
        "norm": _levels(items=NORM),
        "batch_size": _levels(items={"type": "integer", "minimum": 1, "maximum": LARGEST_INT}),
        "seed": {
            "oneOf": [
                {"type": "integer", "minimum": 1, "maximum": MOST_SEEDS},
                _levels(items={"type": "integer", "minimum": 0, "maximum": LARGEST_INT}),
            ]
        },
    },
    "propertyNames": FACTOR,
    "additionalProperties": _levels(),
}


def schema() -> Schema:
    """JSON Schema (draft 2020-12) of a grid's file.

    It accepts every grid that `load_grid` accepts. What only the whole grid shows, such as a
    misspelt option of a norm, it does not see.
    """
    whole = _inlined(Layout.model_json_schema())
    properties = whole["properties"]
    properties["factors"] = FACTORS
    for name, spec in SECTIONS.items():
        properties[name] = _section(spec)
    properties["data"]["properties"]["root"] = {"type": "string"}
    rule = properties["overrides"]["items"]["properties"]
    for combination in (rule["when"], properties["exclude"]["items"]):
        combination["propertyNames"] = FACTOR
    rule["set"]["propertyNames"] = SET
    described: Schema = _described(whole, "")
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "A grid of normalization layers, batch sizes and seeds",
        **{key: value for key, value in described.items() if key not in ("title", "description")},
    }


def _section(spec: type) -> Schema:
    """A section's schema. No field is required of it: a factor or an override may set it."""
    with warnings.catch_warnings(category=PydanticJsonSchemaWarning, action="ignore"):
        section = _inlined(TypeAdapter(spec).json_schema())
    return {key: value for key, value in section.items() if key != "required"}


def _inlined(given: Mapping[str, Any]) -> Schema:
    """The schema with its definitions in their places, without the titles pydantic adds."""
    definitions = given.get("$defs", {})

    def resolve(value: Any) -> Any:
        if isinstance(value, list):
            return [resolve(item) for item in value]
        if not isinstance(value, dict):
            return value
        if "$ref" in value:
            rest = {key: item for key, item in value.items() if key != "$ref"}
            return resolve(definitions[value["$ref"].rpartition("/")[2]]) | resolve(rest)
        return {
            key: {name: resolve(item) for name, item in content.items()}
            if key == "properties"
            else resolve(content)
            for key, content in value.items()
            if key not in ("$defs", "title", "description")
        }

    inlined: Schema = resolve(dict(given))
    return inlined


def _described(value: Schema, name: str) -> Schema:
    """The schema with what its fields mean."""
    meaning = {"description": MEANINGS[name]} if name in MEANINGS else {}
    found = {**meaning, **value}
    of_items = next((s for s in (value, *value.get("anyOf", ())) if "properties" in s), None)
    if of_items is None and "properties" in value.get("items", {}):
        found["items"] = _described(value["items"], name)
    elif of_items is not None:
        described = {
            key: _described(item, f"{name}.{key}".lstrip("."))
            for key, item in of_items["properties"].items()
        }
        if of_items is value:
            found["properties"] = described
        else:
            found["anyOf"] = [
                {**s, "properties": described} if s is of_items else s for s in value["anyOf"]
            ]
    return found


def fields(part: Mapping[str, Any] | None = None, name: str = "") -> dict[str, Schema]:
    """Every field that holds no others, by its dotted name, in the order of the file."""
    part = schema() if part is None else part
    for inner in (part, part.get("items", {}), *part.get("anyOf", ())):
        if "properties" in inner:
            found: dict[str, Schema] = {}
            for key, item in inner["properties"].items():
                found |= fields(item, f"{name}.{key}".lstrip("."))
            return found
    return {name: dict(part)}
