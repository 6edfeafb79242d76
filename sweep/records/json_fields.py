"""Frozen dataclasses that are written to a record's JSON with the same bytes as they were read."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import MISSING, dataclass, field
from typing import Any, ClassVar, Self


@dataclass(frozen=True, kw_only=True)
class JsonFields:
    """The fields of a JSON object, of which any may be missing.

    None stands for a missing field. Versions of the program differ in the fields that they write,
    so the object keeps what is needed to write it again with the same bytes.

    Attributes:
        unknown: values of the keys that are no fields of this class.
        key_order: keys in the order in which they are written; keys that gain a value later are
            appended.
    """

    WRITTEN_AS_NULL: ClassVar[frozenset[str]] = frozenset()
    """Names of the fields that are written even if they have no value."""

    unknown: Mapping[str, object] = field(default_factory=dict)
    key_order: tuple[str, ...] = field(default=(), compare=False, repr=False)

    def __post_init__(self) -> None:
        added = [
            name
            for name in field_names(type(self))
            if (getattr(self, name) is not None or name in self.WRITTEN_AS_NULL)
            and name not in self.key_order
        ]
        added += [name for name in self.unknown if name not in self.key_order]
        object.__setattr__(self, "key_order", (*self.key_order, *added))

    @classmethod
    def from_json(cls, data: object) -> Self:
        """Return an instance from a parsed JSON object; raise `ValueError` for other data."""
        if not isinstance(data, dict):
            raise ValueError(f"expected a JSON object, found {data!r}")
        names = field_names(cls)
        missing = [name for name in required_names(cls) if name not in data]
        if missing:
            raise ValueError(f"{missing[0]} is missing")
        known = {key: value for key, value in data.items() if key in names}
        unknown = {key: value for key, value in data.items() if key not in names}
        return cls(**known, unknown=unknown, key_order=tuple(data))

    def to_json(self) -> Mapping[str, Any]:
        """Return the JSON object, with its keys in their order."""
        return {
            key: self.unknown[key] if key in self.unknown else getattr(self, key)
            for key in self.key_order
        }


def field_names(kind: type[JsonFields]) -> tuple[str, ...]:
    """Return the names of the fields that are keys of the JSON object, in declared order."""
    bookkeeping = [item.name for item in dataclasses.fields(JsonFields)]
    return tuple(item.name for item in dataclasses.fields(kind) if item.name not in bookkeeping)


def required_names(kind: type[JsonFields]) -> tuple[str, ...]:
    """Return the names of the fields that the JSON object must have."""
    names = field_names(kind)
    return tuple(
        item.name
        for item in dataclasses.fields(kind)
        if item.name in names and item.default is MISSING and item.default_factory is MISSING
    )
