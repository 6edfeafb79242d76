"""What the spec classes have in common: strict checks, descriptions as docstrings, bounds."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from types import MappingProxyType
from typing import Annotated, Any, ClassVar, Literal, TypeVar, dataclass_transform

import pydantic
from pydantic import ConfigDict, Field
from pydantic.fields import FieldInfo

from normmods.option_values import LARGEST_INT

Count = Annotated[int, Field(ge=1, le=LARGEST_INT)]
Seed = Annotated[int, Field(ge=0, le=LARGEST_INT)]
Seeding = Literal["per_cell", "per_seed"]
Share = Annotated[float, Field(ge=0, lt=1)]
ADDED_LATER: Mapping[str, bool] = MappingProxyType({"added_later": True})
"""Metadata of a field that version 1 began without. While the field has its default, which must
mean what the code did before there was the field, the field is left out of the identity: the ids
of older trials hold."""

_STRICT = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False)
_Class = TypeVar("_Class")


class Spec:
    """Base class of the specs, which tells type checkers that each spec is a dataclass."""

    __dataclass_fields__: ClassVar[dict[str, dataclasses.Field[Any]]]


@dataclass_transform(
    frozen_default=True, kw_only_default=True, field_specifiers=(dataclasses.field, Field)
)
def spec_class(cls: type[_Class]) -> type[_Class]:
    """Return the class as a frozen pydantic dataclass, its fields listed in the docstring.

    The types are checked strictly: no text is taken for a number, no unknown field is accepted.
    """
    made = pydantic.dataclasses.dataclass(frozen=True, kw_only=True, config=_STRICT)(cls)
    made.__doc__ = with_attributes(cls.__doc__, made.__pydantic_fields__)
    return made  # type: ignore[return-value]  # pydantic declares a type of its own


def with_attributes(docstring: str | None, fields: Mapping[str, FieldInfo]) -> str:
    """Return a class's docstring with the section `Attributes` of its described fields.

    >>> with_attributes("A rate.", {"lr": FieldInfo(annotation=float, description="Step size.")})
    'A rate.\\n\\nAttributes:\\n    lr: Step size.'
    """
    lines = [f"    {name}: {f.description}" for name, f in fields.items() if f.description]
    return "\n".join([f"{docstring}\n\nAttributes:", *lines]) if lines else str(docstring)
