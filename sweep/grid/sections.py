"""Specs of `trainables.spec` from plain data, as YAML gives them, checked strictly."""

from __future__ import annotations

import copy
import json
from functools import lru_cache
from typing import Any

from pydantic import TypeAdapter, ValidationError

from sweep.grid.validation_messages import MISSING
from trainables.spec import TrainSpec


def read_strictly(spec_class: type, data: Any) -> Any:
    """Return the spec that plain data describe.

    Lists are accepted for tuples, and no text for a number (JSON's strict mode of pydantic).

    Raises:
        ValidationError: with a finding for each field that is missing, unknown or wrong.
    """
    return _adapter(spec_class).validate_json(json.dumps(data), strict=True)


def read_section(spec_class: type, data: Any) -> Any:
    """Return the spec that plain data describe, or None where something is wrong with them."""
    try:
        return read_strictly(spec_class, data)
    except ValidationError:
        return None


def read_valid_part(spec_class: type, data: Any, error: ValidationError) -> Any:
    """Return the spec without the values that are wrong, or None where no spec is left.

    With this spec, contradictions between the valid values are found in the same run as the errors.
    A required field that is missing gets a value that contradicts nothing.

    Args:
        spec_class: the class of the section.
        data: the section as the file has it.
        error: what `read_strictly` raised for the section.
    """
    rest = copy.deepcopy(data)
    for finding in error.errors():
        *parents, last = finding["loc"]
        place = rest
        for part in parents:
            place = place[part] if isinstance(place, dict) and part in place else {}
        if finding["type"] in MISSING:
            place[last] = 1
        elif isinstance(place, dict):
            place.pop(last, None)
    if spec_class is TrainSpec:
        rest.setdefault("epochs", 1)
    return read_section(spec_class, rest)


@lru_cache
def _adapter(spec_class: type) -> TypeAdapter[Any]:
    """Return the pydantic type adapter of a spec class."""
    return TypeAdapter(spec_class)
