"""The sections `data`, `model` and `train` as specs, read strictly from plain data."""

from __future__ import annotations

import copy
import json
from functools import lru_cache
from typing import Any

from pydantic import TypeAdapter, ValidationError

from sweep.grid.validation_messages import MISSING
from trainables.spec import TrainSpec


def read_section(spec: type, data: Any) -> Any:
    """The section, or None where something is wrong with it."""
    try:
        return validated(spec, data)
    except ValidationError:
        return None  # what is wrong with it has been said


def read_the_rest(spec: type, data: Any, error: ValidationError) -> Any:
    """The section without the values that are wrong, so that they hide no other mistake."""
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
    if spec is TrainSpec:
        rest.setdefault("epochs", 1)
    return read_section(spec, rest)


def validated(spec: type, data: Any) -> Any:
    """A spec from plain data, in JSON's strict mode: no text for a number, lists for tuples."""
    return _adapter(spec).validate_json(json.dumps(data), strict=True)


@lru_cache
def _adapter(spec: type) -> TypeAdapter[Any]:
    return TypeAdapter(spec)
