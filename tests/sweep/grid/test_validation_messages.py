from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import pytest
from pydantic import BaseModel, ConfigDict, TypeAdapter, ValidationError

from sweep.errors import GridError, Problem, suggest_nearest
from sweep.grid.field_names import settable_names
from sweep.grid.validation_messages import dotted_keys, format_value, keys_at, validation_problems
from sweep.grid.yaml_source import read_yaml
from trainables.spec import TrainSpec


@dataclass
class Inner:
    __pydantic_config__: ClassVar[ConfigDict] = {"extra": "forbid"}
    size: int
    rate: float = 0.5


class Outer(BaseModel, extra="forbid"):
    name: str
    inner: Inner
    many: list[Inner] = []
    perhaps: Inner | None = None


def found(text: str) -> list[tuple[int, str, str]]:
    Path("grid.yaml").write_text(text)
    source = read_yaml(Path("grid.yaml"))
    with pytest.raises(ValidationError) as caught:
        TypeAdapter(Outer).validate_json(json.dumps(source.data), strict=True)
    return [(p.line, p.where, p.what) for p in validation_problems(caught.value, source, Outer)]


def test_findings_carry_their_line_and_what_was_expected() -> None:
    assert found("name: 3\ninner:\n  size: two\n  rate: fast\n") == [
        (1, "name", "expected a text, found 3"),
        (3, "inner.size", "expected a whole number, found 'two'"),
        (4, "inner.rate", "expected a number, found 'fast'"),
    ]


def test_unknown_and_missing_keys_at_any_depth() -> None:
    assert found("nam: x\ninner: {size: 1}\nmany: [{size: 1}, {siz: 1}]\n") == [
        (1, "name", "is required and missing"),
        (3, "many[1].size", "is required and missing"),
        (3, "many[1].siz", "unknown key; did you mean 'size'?"),
        (1, "nam", "unknown key; did you mean 'name'?"),
    ]


def test_the_keys_below_a_place() -> None:
    assert keys_at(Outer, ()) == ["inner", "many", "name", "perhaps"]
    assert keys_at(Outer, ("many", 1)) == keys_at(Outer, ("perhaps",)) == ["rate", "size"]
    assert dotted_keys(Outer, "x.")[:3] == ["x.name", "x.inner.size", "x.inner.rate"]
    assert "optimizer.lr" in dotted_keys(TrainSpec)
    assert "train.schedule.milestones" in settable_names()


def test_the_nearest_known_word_or_all_of_them() -> None:
    assert suggest_nearest("bachnorm", ["batchnorm", "layernorm"]) == "; did you mean 'batchnorm'?"
    assert suggest_nearest("zzz", ["batchnorm", "layernorm"]) == "; known: batchnorm, layernorm"


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "nothing"),
        (True, "true"),
        (False, "false"),
        (1, "1"),
        (1.5, "1.5"),
        ("a", "'a'"),
        ({}, "an empty mapping"),
        ({"a": 1}, "a mapping"),
        ([], "an empty list"),
        ([1, 2], "a list of 2"),
    ],
)
def test_values_are_shown_as_written(value: Any, text: str) -> None:
    assert format_value(value) == text


def test_long_values_are_cut() -> None:
    assert len(format_value("x" * 1000)) == 60


def test_problems_stand_in_the_order_of_their_lines_and_once() -> None:
    late, early = Problem(7, "b", "is wrong"), Problem(2, "c", "is wrong")
    whole = Problem(0, "", "is no grid")
    error = GridError("g.yaml", [late, early, late, whole])
    assert error.messages == (
        "g.yaml: is no grid",
        "g.yaml:2: c: is wrong",
        "g.yaml:7: b: is wrong",
    )
    assert str(error).splitlines() == list(error.messages)
