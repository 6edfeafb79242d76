"""pydantic's findings as messages: what was expected, what was found, what was probably meant."""

from __future__ import annotations

import dataclasses
import json
import types
import typing
from collections.abc import Iterable, Sequence
from typing import Any

from pydantic import BaseModel, TypeAdapter, ValidationError

from normmods.option_values import LARGEST_INT
from sweep.errors import Problem, suggest_nearest
from sweep.grid.yaml_source import Loc, Source

_UNKNOWN = {"extra_forbidden", "unexpected_keyword_argument"}
MISSING = {"missing", "missing_argument"}
_EXPECTED = {
    "int_type": "a whole number",
    "int_from_float": "a whole number",
    "float_type": "a number",
    "finite_number": "a finite number",
    "bool_type": "true or false",
    "string_type": "a text",
    "list_type": "a list",
    "tuple_type": "a list",
    "dict_type": "a mapping",
    "model_type": "a mapping",
    "model_attributes_type": "a mapping",
    "dataclass_type": "a mapping",
}


def validation_problems(
    error: ValidationError,
    source: Source,
    root: type,
    prefix: Loc = (),
    known_fields: Iterable[str] = (),
) -> Iterable[Problem]:
    """Yield a problem of the grid for each error that pydantic found.

    Args:
        error: pydantic's errors.
        source: the grid, which knows the lines.
        root: the class that the data were checked by.
        prefix: the place of these data in the grid.
        known_fields: dotted names of all fields of a grid, which a key in the wrong place may mean.
    """
    in_unions: set[Loc] = set()
    for finding in error.errors():
        field, union = _find_union(root, finding["loc"])
        loc: Loc = (*prefix, *field)
        if union is not None:  # pydantic has a finding for each member of the union
            if loc not in in_unions:
                what = f"{_describe_alternatives(union)}, found {format_value(finding['input'])}"
                yield source.problem(loc, what)
            in_unions.add(loc)
            continue
        if finding["type"] in _UNKNOWN:
            known = keys_at(root, finding["loc"][:-1])
            yield source.problem(
                loc, f"unknown key{suggest_field(str(loc[-1]), known, known_fields)}"
            )
        elif finding["type"] in MISSING:
            yield source.problem(loc, "is required and missing")
        else:
            yield source.problem(
                loc, f"{_describe_expected(finding)}, found {format_value(finding['input'])}"
            )


def suggest_field(key: str, known: Sequence[str], known_fields: Iterable[str]) -> str:
    """Return `; did you mean 'train.epochs'?` for an unknown key.

    Args:
        key: the unknown key.
        known: the keys that there could be in its place; the most similar one is suggested.
        known_fields: dotted names of all fields; one that ends in the key goes before.
    """
    last = key.rpartition(".")[2]
    elsewhere = [repr(place) for place in known_fields if place.rpartition(".")[2] == last]
    return f"; did you mean {' or '.join(elsewhere)}?" if elsewhere else suggest_nearest(key, known)


def _find_union(root: Any, loc: Loc) -> tuple[Loc, Any]:
    """Return the location of the field in a pydantic error, and the field's type if it is a union.

    pydantic adds a name of the union's member to the location, such as `literal['auto']`. If the
    error is of no union, the location is returned unchanged, with None.
    """
    annotation = root
    for i, part in enumerate(loc):
        if isinstance(part, int):
            continue  # an item, whose fields `_fields` tells from the type of the list
        fields = _fields(annotation)
        if part not in fields:
            return (loc, None) if fields or i == 0 else (loc[:i], annotation)
        annotation = fields[part]
    return loc, None


def _describe_alternatives(union: Any) -> str:
    """Return what a union's members accept: `expected a number >= 0 or 'auto'`."""
    schema = TypeAdapter(union).json_schema()
    # pydantic 2.11 has two findings for a Mapping, as for a union, but one schema.
    members = schema.get("anyOf", [schema])
    *words, last = [word for member in members for word in _name_values(member)]
    return f"expected {', '.join(words)} or {last}" if words else f"expected {last}"


def _name_values(schema: dict[str, Any]) -> list[str]:
    """Return in words which values a simple JSON schema (without objects) accepts."""
    if "const" in schema or "enum" in schema:
        return [format_value(value) for value in schema.get("enum", [schema.get("const")])]
    kind = schema.get("type")
    if kind == "boolean":
        return ["true", "false"]
    words = {"integer": "a whole number", "number": "a number", "string": "a text"}
    word = (words | {"object": "a mapping"}).get(str(kind))
    signs = {"minimum": ">=", "exclusiveMinimum": ">", "maximum": "<=", "exclusiveMaximum": "<"}
    bounds = [f"{sign} {_format_number(schema[k])}" for k, sign in signs.items() if k in schema]
    return [" ".join([word or f"a value of type {kind}", *bounds])]


def _describe_expected(finding: Any) -> str:
    """Return what pydantic expected in an error: `expected a whole number`."""
    kind, context = finding["type"], finding.get("ctx", {})
    if kind == "string_too_short":
        return "expected a text that is not empty"
    if kind in _EXPECTED:
        return f"expected {_EXPECTED[kind]}"
    if kind == "literal_error":
        return f"expected {context['expected'].replace('False', 'false')}"  # as YAML has it
    if kind == "value_error":
        return str(context["error"])
    if context.get("le") == LARGEST_INT:
        return f"expected a whole number from 1 to {LARGEST_INT}"
    bounds = {"ge": ">=", "gt": ">", "le": "<=", "lt": "<"}
    stated = [
        f"{sign} {_format_number(context[key])}" for key, sign in bounds.items() if key in context
    ]
    return f"expected a number {stated[0]}" if stated else str(finding["msg"])


def _format_number(number: float) -> str:
    """Return a number as text: whole numbers with separators of thousands."""
    return f"{number:,}" if isinstance(number, int) else f"{number:g}"


def format_value(value: object) -> str:
    """Return a value as the grid's author wrote it, in at most 60 characters."""
    if isinstance(value, dict):
        return "a mapping" if value else "an empty mapping"
    if isinstance(value, list | tuple):
        return f"a list of {len(value)}" if value else "an empty list"
    if value is None:
        return "nothing"
    text = {True: "true", False: "false"}.get(value) if isinstance(value, bool) else repr(value)
    text = text or repr(value)
    return text if len(text) <= 60 else text[:57] + "..."


def suggest_dotted_name(name: str, value: object, known: Iterable[str]) -> str | None:
    """Return the advice to write `train.epochs: 4`, where a mapping stands in place of its fields.

    None where the value is no mapping, or no known field lies below the name.
    """
    if not isinstance(value, dict) or not any(of.startswith(f"{name}.") for of in known):
        return None
    while isinstance(value, dict) and value:
        key, value = next(iter(value.items()))
        name = f"{name}.{key}"
    return f"expected dotted names, such as `{name}: {json.dumps(value, default=str)}`"


def first_repeated(values: object) -> Any:
    """Return the first item that a list holds twice, or None."""
    items = values if isinstance(values, list | tuple) else ()
    return next((item for i, item in enumerate(items) if item in items[:i]), None)


def keys_at(root: Any, loc: tuple[str | int, ...]) -> list[str]:
    """Return the names of the fields of the mapping at the place `loc` below the class `root`."""
    fields = _fields(root)
    for part in loc:
        if isinstance(part, str) and part in fields:
            fields = _fields(fields[part])
    return sorted(fields)


def dotted_keys(root: Any, prefix: str = "") -> list[str]:
    """Return every field below `root` that holds no others, as a dotted name."""
    names: list[str] = []
    for name, annotation in _fields(root).items():
        below = dotted_keys(annotation, f"{prefix}{name}.")
        names += below or [f"{prefix}{name}"]
    return names


def _fields(annotation: Any) -> dict[str, Any]:
    """Return field names and types of a model, a dataclass, or an optional or list of one."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return {
            info.alias or name: info.annotation for name, info in annotation.model_fields.items()
        }
    if isinstance(annotation, type) and dataclasses.is_dataclass(annotation):
        hints = typing.get_type_hints(annotation)
        return {f.name: hints[f.name] for f in dataclasses.fields(annotation)}
    if typing.get_origin(annotation) in (list, tuple, typing.Union, types.UnionType):
        found: dict[str, Any] = {}
        for argument in typing.get_args(annotation):
            found |= _fields(argument)
        return found
    return {}
