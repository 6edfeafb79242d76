from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from sweep.errors import RefusedError
from sweep.grid.yaml_source import Source, format_location, read_yaml


def source(text: str | bytes, path: Path | None = None) -> Source:
    file = path or Path("grid.yaml")
    file.write_bytes(text if isinstance(text, bytes) else text.encode())
    return read_yaml(file)


def refusal(text: str | bytes) -> str:
    with pytest.raises(RefusedError) as caught:
        source(text)
    (message,) = caught.value.messages
    assert "\n" not in message
    return message


TEXTS = st.text(st.characters(codec="ascii", categories=["L", "N", "P", "S", "Zs"]), max_size=8)
NUMBERS = st.integers(-(10**30), 10**30) | st.floats(allow_nan=False, allow_infinity=False)
VALUES = st.recursive(
    st.none() | st.booleans() | NUMBERS | TEXTS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXTS, inner, max_size=4),
    max_leaves=12,
)


@given(data=VALUES)
def test_json_reads_as_json(data: Any, tmp_path_factory: pytest.TempPathFactory) -> None:
    text = json.dumps(data)
    found = source(text, tmp_path_factory.getbasetemp() / "any.yaml").data
    assert json.dumps(found) == text  # tells 1 from 1.0 and True


@pytest.mark.parametrize(
    ("written", "value"),
    [
        ("5e-4", 5e-4),
        ("1E5", 1e5),
        (".5", 0.5),
        ("3.", 3.0),
        ("+7", 7),
        ("010", 10),
        (".inf", math.inf),
        ("-.INF", -math.inf),
        ("true", True),
        ("FALSE", False),
        ("~", None),
        ("", None),
        # What YAML 1.1 makes of these is a trap, and 1.2 leaves them as they are.
        ("no", "no"),
        ("on", "on"),
        ("1:30", "1:30"),
        ("0x1f", "0x1f"),
        ("1_000", "1_000"),
        ("2024-05-01", "2024-05-01"),
        ("=", "="),
        ("'5e-4'", "5e-4"),
        ("!!str 5", "5"),
        ("!!float 5", 5.0),
    ],
)
def test_scalars_are_those_of_yaml_1_2(written: str, value: object) -> None:
    found = source(f"x: {written}\n").data["x"]
    assert found == value
    assert type(found) is type(value)


def test_not_a_number_reads_as_one() -> None:
    assert math.isnan(source("x: .nan\n").data["x"])


def test_each_value_knows_its_line() -> None:
    found = source("a: 1\n\n# why\nb:\n  - x\n  -\n    c: [1,\n      2]\n")
    places = [("a",), ("b",), ("b", 0), ("b", 1, "c"), ("b", 1, "c", 0), ("b", 1, "c", 1)]
    assert [found.line(place) for place in places] == [1, 4, 5, 7, 7, 8]
    assert found.line(("b", 1, "absent")) == found.line(("b", 1)) == 7
    assert found.line(("absent",)) == found.line(()) == 1
    assert found.problem(("b", 1, "c", 1), "is odd").text("g.yaml") == "g.yaml:8: b[1].c[1]: is odd"
    assert format_location(("factors", "norm", 2)) == "factors.norm[2]"


def test_a_key_given_twice_is_a_problem_on_its_second_line() -> None:
    found = source("a:\n  x: 1\n  y: 2\n  x: 3\nb: 1\nb: 1\n")
    texts = [problem.text("g") for problem in found.problems]
    assert texts == [
        "g:6: b: given twice; it already stands on line 5",
        "g:4: a.x: given twice; it already stands on line 2",
    ]


def test_aliases_and_merges_read_as_yaml_says() -> None:
    text = (
        "base: &base {a: 1, b: 2}\nmore: &more {b: 3, c: 4}\nlevels: &levels [1, 2]\n"
        "one: {<<: *base, b: 9}\ntwo: {<<: [*base, *more], d: 5}\n"
        "three: &three {<<: *base, c: 7}\nfour: {<<: *three}\nagain: *levels\n"
    )
    found = source(text)
    assert found.data == yaml.safe_load(text)
    assert found.data["two"] == {"a": 1, "b": 2, "c": 4, "d": 5}
    assert found.problems == []
    assert found.line(("one", "a")) == 1
    assert found.line(("one", "b")) == 4


def bomb(form: str) -> list[str]:
    """Twelve anchors, each but the first holding the one before it ten times over."""
    held = [", ".join([f"*a{i}"] * 10) for i in range(11)]
    return ["&a0 {x: 1}", *(f"&a{i} {form % inside}" for i, inside in enumerate(held, start=1))]


@pytest.mark.parametrize(
    "text",
    [
        "\n".join(f"- {anchor}" for anchor in bomb("[%s]")),
        "\n".join(f"- {anchor}" for anchor in bomb("{y: [%s]}")),
        "x: {<<: [" + ", ".join(bomb("{<<: [%s]}")) + "]}",
        "a: &a [*a]",
        "a: &a {b: *a}",
        "a: &a {<<: *a}",
        "a: &a {b: &b {<<: *a}}",
        "x: " + "[" * 1000 + "]" * 1000,
    ],
)
def test_what_grows_without_end_is_refused(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sweep.grid.yaml_source.MAX_VALUES", 10_000)
    message = refusal(text)
    assert "grow without end" in message or "nested too deeply" in message


def test_a_mapping_merged_many_times_is_one_mapping() -> None:
    found = source("\n".join(f"- {anchor}" for anchor in bomb("{<<: [%s]}")[:6]))
    assert found.data == [{"x": 1}] * 6


def test_recursive_aliases_are_refused_with_their_line() -> None:
    assert refusal("x: 1\na: &a [1, *a]\n").startswith("grid.yaml:2: not valid YAML: aliases at a")
    assert "aliases" in refusal("x: 1\na: &a {b: {<<: *a}}\n")


@pytest.mark.parametrize(
    "tagged",
    [
        "!!python/object/apply:os.system ['touch owned']",
        "!!python/object:os.system {}",
        "!!python/name:os.system",
        "!!python/module:os",
        "!!timestamp 2024-05-01",
        "!!timestamp nonsense",
        "!!binary aGk=",
        "!!set {a}",
        "!!omap [a: 1]",
        "!own 1",
        "!!map a",
        "!!str [a]",
    ],
)
def test_tags_are_refused(tagged: str) -> None:
    message = refusal(f"name: x\nvalue: {tagged}\n")
    assert message.startswith("grid.yaml:2: not valid YAML: a grid holds plain values, found")
    assert not Path("owned").exists()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (b"name: \xff\xfe\n", "grid.yaml: expected UTF-8 text, found invalid start byte"),
        (b"\xff\xfea\x00", "grid.yaml: expected UTF-8 text"),
        ("name: x\nother: a\x00b\n", "grid.yaml: not valid YAML: unacceptable character #x0000"),
        ("name:\n\tx: 1\n", "grid.yaml:2: not valid YAML: found character '\\t'"),
        ("a: [1, 2\nb: 3\n", "grid.yaml:2: not valid YAML: "),
        ("a: 1\n---\nb: 2\n", "grid.yaml:2: not valid YAML: expected a single document"),
        ("a: *nowhere\n", "grid.yaml:1: not valid YAML: found undefined alias 'nowhere'"),
        ("a: {<<: 3}\n", "grid.yaml:1: not valid YAML: expected a mapping, or a list of"),
        ("? [a, b]\n: 1\n", "grid.yaml:1: not valid YAML: expected a name before ':'"),
        ("a: 1\nb: !!int x\n", "grid.yaml:2: not valid YAML: not a usable int: x"),
        ("b: !!bool perhaps\n", "grid.yaml:1: not valid YAML: not a usable bool: perhaps"),
        ("b: " + "9" * 5000, "grid.yaml:1: not valid YAML: not a usable int: 9"),
    ],
)
def test_what_is_no_yaml_is_refused_in_one_line(text: str | bytes, message: str) -> None:
    assert refusal(text).startswith(message)


@pytest.mark.parametrize("text", ["", "\n\n", "# only a comment\n", "---\n"])
def test_an_empty_file_holds_nothing(text: str) -> None:
    assert source(text).data is None


def test_a_byte_order_mark_is_no_part_of_the_text() -> None:
    assert source("\ufeffname: x\n").data == {"name": "x"}


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(RefusedError, match=r"absent\.yaml: no such file; .* init"):
        read_yaml(Path("absent.yaml"))
    with pytest.raises(RefusedError, match="expected a grid, found a folder"):
        read_yaml(tmp_path)
    Path("grid.yaml").write_text("a: 1")
    with pytest.raises(RefusedError, match="cannot be read: "):
        read_yaml(Path("grid.yaml/below"))
