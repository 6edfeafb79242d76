"""A YAML file as plain data, with the line that every value came from.

Read with YAML 1.2's scalars, because `5e-4` is a number to whoever writes a grid, and with the
safe constructor only: a grid can name things, it cannot make them.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from sweep.errors import UNSEEN, GridError, Problem, RefusedError, escape_invisible
from sweep.grid.digest import digest_of

Loc = tuple[str | int, ...]
MAX_VALUES = 200_000
MAX_BYTES = 1_000_000


class _Loader(yaml.SafeLoader):
    """SafeLoader whose implicit scalars are those of YAML 1.2."""


def _integer(loader: _Loader, node: yaml.ScalarNode) -> int:
    return int(str(loader.construct_scalar(node)))


def _float(loader: _Loader, node: yaml.ScalarNode) -> float:
    return float(
        str(loader.construct_scalar(node)).lower().replace(".inf", "inf").replace(".nan", "nan")
    )


_TAG = "tag:yaml.org,2002:"
_MERGE = _TAG + "merge"
_TAGS: dict[type[yaml.Node], frozenset[str]] = {
    yaml.MappingNode: frozenset({_TAG + "map"}),
    yaml.SequenceNode: frozenset({_TAG + "seq"}),
    yaml.ScalarNode: frozenset(_TAG + kind for kind in ("str", "null", "bool", "int", "float")),
}
_FLOAT = re.compile(
    r"^[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?$"
    r"|^[-+]?\.(?:inf|Inf|INF)$|^\.(?:nan|NaN|NAN)$"
)
_Loader.yaml_implicit_resolvers = {
    first: [(tag, regexp) for tag, regexp in pairs if tag in (_TAG + "null", _MERGE)]
    for first, pairs in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
_Loader.add_implicit_resolver(
    _TAG + "bool", re.compile(r"^(?:true|True|TRUE|false|False|FALSE)$"), list("tTfF")
)
_Loader.add_implicit_resolver(_TAG + "int", re.compile(r"^[-+]?[0-9]+$"), list("-+0123456789"))
_Loader.add_implicit_resolver(_TAG + "float", _FLOAT, list("-+.0123456789"))
_Loader.add_constructor(_TAG + "int", _integer)
_Loader.add_constructor(_TAG + "float", _float)


@dataclass
class Source:
    """Plain data read from `path`; `lines` maps each value's place to its line.

    `replaced_factors` names the factors whose levels a command has replaced (`--set`). `digest` is
    that of the file's content, before anything is replaced.
    """

    path: Path
    data: Any = None
    lines: dict[Loc, int] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)
    replaced_factors: set[str] = field(default_factory=set)
    digest: str = ""

    def line(self, loc: Loc) -> int:
        """Line of the value at `loc`, or of the nearest enclosing one that is there."""
        for length in range(len(loc), -1, -1):
            if loc[:length] in self.lines:
                return self.lines[loc[:length]]
        return 0

    def problem(self, loc: Loc, what: str) -> Problem:
        """A problem at `loc`, with its line."""
        return Problem(self.line(loc), format_location(loc), what)


def parse_scalar(text: str) -> bool | int | float | str | None:
    """A plain value as a grid would read it: `8`, `5e-4`, `true`, `null`, else the text."""
    loader = _Loader(text)
    try:
        node = loader.get_single_node()
        value = loader.construct_object(node) if isinstance(node, yaml.ScalarNode) else text
    except (yaml.YAMLError, ValueError):
        value = text
    finally:
        loader.dispose()
    return value if isinstance(value, bool | int | float | str | None) else text


def format_location(loc: Loc) -> str:
    """`('factors', 'norm', 2)` as `factors.norm[2]`."""
    text = ""
    for part in loc:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else str(part)
    return text


def read_yaml(path: Path) -> Source:
    """Read `path`; `RefusedError` if it cannot be read, `GridError` if it is not YAML."""
    try:
        with open(path, "rb") as file:
            content = file.read(MAX_BYTES + 1)
        text = content.decode("utf-8").replace("\r\n", "\n")
    except FileNotFoundError:
        raise RefusedError(f"{path}: no such file; `norm-sweep init` writes one") from None
    except IsADirectoryError:
        raise RefusedError(f"{path}: expected a grid, found a folder") from None
    except OSError as error:
        raise RefusedError(f"{path}: cannot be read: {error.strerror}") from None
    except UnicodeDecodeError as error:
        raise RefusedError(f"{path}: expected UTF-8 text, found {error.reason}") from None
    if len(content) > MAX_BYTES:
        raise RefusedError(f"{path}: expected a grid of at most {MAX_BYTES:,} bytes")
    return parse_text(text, path)


def parse_text(text: str, path: Path) -> Source:
    """Return the data of a grid's text; `GridError`, which names the path, if it is not YAML."""
    source = Source(path)
    try:
        loader = _Loader(text)
        node = loader.get_single_node()
        if node is not None:
            source.data = _Reader(loader, source).value(node, ())
            source.digest = digest_of(node)
    except (yaml.YAMLError, RecursionError) as error:
        raise GridError(str(path), [_not_yaml(error)]) from None
    return source


def parse_value(text: str, where: str) -> Any:
    """A value as a grid would read it, `[0, 1]` or `5e-4`; `RefusedError`, told `where`."""
    loader = _Loader(text)
    try:
        node = loader.get_single_node()
        return _Reader(loader, Source(Path(where))).value(node, ()) if node is not None else None
    except (yaml.YAMLError, RecursionError) as error:
        raise RefusedError(f"{where}: {_not_yaml(error).what}") from None
    finally:
        loader.dispose()


def _not_yaml(error: Exception) -> Problem:
    line, what = 0, " ".join(str(error).split())
    if isinstance(error, RecursionError):
        what = "nested too deeply"
    elif isinstance(error, yaml.MarkedYAMLError):
        mark = error.problem_mark or error.context_mark
        line = mark.line + 1 if mark else 0
        what = error.problem or error.context or what
        if what.startswith("but "):
            what = f"{error.context}, {what}"
    return Problem(line, "", f"not valid YAML: {what}")


def _wrong(node: yaml.Node, what: str) -> yaml.MarkedYAMLError:
    return yaml.MarkedYAMLError(problem=what, problem_mark=node.start_mark)


class _Reader:
    """Builds the data by hand from the node tree, which is where the lines are."""

    def __init__(self, loader: _Loader, source: Source) -> None:
        self.loader = loader
        self.source = source
        self.num_values = 0
        self.open: set[int] = set()

    @contextmanager
    def entered(self, node: yaml.Node, loc: Loc) -> Iterator[None]:
        """Count a node, and refuse one that holds itself; aliases may make few nodes many."""
        self.num_values += 1
        if id(node) in self.open or self.num_values > MAX_VALUES:
            raise _wrong(node, f"aliases at {format_location(loc)[:80]} grow without end")
        self.open.add(id(node))
        try:
            yield
        finally:
            self.open.discard(id(node))

    def value(self, node: yaml.Node, loc: Loc) -> Any:
        if node.tag not in _TAGS[type(node)]:
            raise _wrong(node, f"a grid holds plain values, found the tag {node.tag!r}")
        self.source.lines.setdefault(loc, node.start_mark.line + 1)
        with self.entered(node, loc):
            if isinstance(node, yaml.MappingNode):
                return self.mapping(node, loc)
            if isinstance(node, yaml.SequenceNode):
                return [self.value(item, (*loc, i)) for i, item in enumerate(node.value)]
            return self.scalar(node)

    def scalar(self, node: yaml.Node) -> Any:
        try:
            return _seen(node, self.loader.construct_object(node))
        except (ValueError, KeyError):
            kind = node.tag.removeprefix(_TAG)
            raise _wrong(node, f"not a usable {kind}: {str(node.value)[:40]}") from None

    def mapping(self, node: yaml.MappingNode, loc: Loc) -> dict[str, Any]:
        self.report_repeated_keys([key for key, _ in node.value if key.tag != _MERGE], loc)
        result: dict[str, Any] = {}
        for key, (key_node, value_node) in self.pairs(node, loc).items():
            self.source.lines[(*loc, key)] = key_node.start_mark.line + 1
            result[key] = self.value(value_node, (*loc, key))
        return result

    def pairs(self, node: yaml.MappingNode, loc: Loc) -> dict[str, tuple[yaml.Node, yaml.Node]]:
        """Key and value nodes; what `<<` brings in gives way to the mapping's own."""
        found = {_name(key): (key, value) for key, value in node.value if key.tag != _MERGE}
        for merged in (value for key, value in node.value if key.tag == _MERGE):
            sources = merged.value if isinstance(merged, yaml.SequenceNode) else [merged]
            for source in sources:
                if not isinstance(source, yaml.MappingNode):
                    raise _wrong(source, "expected a mapping, or a list of mappings, after `<<`")
                with self.entered(source, loc):
                    found = {**self.pairs(source, loc), **found}
        return found

    def report_repeated_keys(self, keys: list[yaml.Node], loc: Loc) -> None:
        first: dict[str, int] = {}
        for key in keys:
            line, name = key.start_mark.line + 1, _name(key)
            if name in first:
                what = f"given twice; it already stands on line {first[name]}"
                self.source.problems.append(Problem(line, format_location((*loc, name)), what))
            first.setdefault(name, line)


def _name(key: yaml.Node) -> str:
    if not isinstance(key, yaml.ScalarNode):
        raise _wrong(key, "expected a name before ':', found a list or a mapping")
    return str(_seen(key, key.value))


def _seen(node: yaml.Node, value: Any) -> Any:
    """The value, unless it is a text with what no reader would see in a name."""
    if isinstance(value, str):
        unseen = [c for c in value if unicodedata.category(c) in UNSEEN]
        if unseen:
            raise _wrong(node, f"control characters in a text: {escape_invisible(value)[:60]}")
    return value
