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

from sweep.errors import INVISIBLE_CATEGORIES, GridError, Problem, RefusedError, escape_invisible
from sweep.grid.digest import compute_digest

Loc = tuple[str | int, ...]
MAX_VALUES = 200_000
MAX_BYTES = 1_000_000


class _Loader(yaml.SafeLoader):
    """SafeLoader whose implicit scalars are those of YAML 1.2."""


def _read_integer(loader: _Loader, node: yaml.ScalarNode) -> int:
    """Return a node as a whole number in base 10: `010` is ten in YAML 1.2."""
    return int(str(loader.construct_scalar(node)))


def _read_float(loader: _Loader, node: yaml.ScalarNode) -> float:
    """Return a node as a number, `.inf` and `.nan` among them."""
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
_Loader.add_constructor(_TAG + "int", _read_integer)
_Loader.add_constructor(_TAG + "float", _read_float)


@dataclass
class Source:
    """A grid's file as plain data, and what is wrong with the grid.

    Attributes:
        path: the file.
        data: the file's content as dictionaries, lists and scalars.
        lines: the line of each value, from 1, by the value's place.
        problems: what is wrong, as the readers of the grid's parts have found it.
        replaced_factors: names of the factors whose levels a command has replaced (`--set`).
        digest: digest of the file's content, before anything is replaced.
    """

    path: Path
    data: Any = None
    lines: dict[Loc, int] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)
    replaced_factors: set[str] = field(default_factory=set)
    digest: str = ""

    def line(self, loc: Loc) -> int:
        """Return the line of the value at a place, or of the nearest enclosing value."""
        for length in range(len(loc), -1, -1):
            if loc[:length] in self.lines:
                return self.lines[loc[:length]]
        return 0

    def problem(self, loc: Loc, what: str) -> Problem:
        """Return a problem of the value at a place, with the value's line."""
        return Problem(self.line(loc), format_location(loc), what)

    def add_problem(self, loc: Loc, what: str) -> None:
        """Note that something is wrong with the value at a place."""
        self.problems.append(self.problem(loc, what))


def parse_scalar(text: str) -> bool | int | float | str | None:
    """Return the plain value that a grid would read: `8`, `5e-4`, `true`, `null`, else the text."""
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
    """Return a place as messages name it: `('factors', 'norm', 2)` is `factors.norm[2]`."""
    text = ""
    for part in loc:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else str(part)
    return text


def read_yaml(path: Path) -> Source:
    """Return a YAML file's content with the line of every value.

    Raises:
        RefusedError: the file cannot be read, is no UTF-8 text, or is too large.
        GridError: the file is not YAML, or has more than plain values.
    """
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
            source.data = _YamlReader(loader, source).read_value(node, ())
            source.digest = compute_digest(node)
    except (yaml.YAMLError, RecursionError) as error:
        raise GridError(str(path), [_describe_yaml_error(error)]) from None
    return source


def parse_value(text: str, where: str) -> Any:
    """Return the value that a grid would read from a text, `[0, 1]` or `5e-4`.

    Raises:
        RefusedError: the text is not YAML; the message begins with `where`.
    """
    loader = _Loader(text)
    try:
        node = loader.get_single_node()
        return (
            _YamlReader(loader, Source(Path(where))).read_value(node, ())
            if node is not None
            else None
        )
    except (yaml.YAMLError, RecursionError) as error:
        raise RefusedError(f"{where}: {_describe_yaml_error(error).what}") from None
    finally:
        loader.dispose()


def _describe_yaml_error(error: Exception) -> Problem:
    """Return what is wrong with a text that is not YAML, with the line where the parser stopped."""
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


def _yaml_error(node: yaml.Node, what: str) -> yaml.MarkedYAMLError:
    """Return an error about a node, with the node's line."""
    return yaml.MarkedYAMLError(problem=what, problem_mark=node.start_mark)


class _YamlReader:
    """Builds plain data from YAML's node tree, since only the nodes know their lines."""

    def __init__(self, loader: _Loader, source: Source) -> None:
        self.loader = loader
        self.source = source
        self.num_values = 0
        self.open_nodes: set[int] = set()

    @contextmanager
    def guarded(self, node: yaml.Node, loc: Loc) -> Iterator[None]:
        """Count a node while the block reads its content; refuse a node that holds itself.

        Aliases can make millions of values from a few nodes.
        """
        self.num_values += 1
        if id(node) in self.open_nodes or self.num_values > MAX_VALUES:
            raise _yaml_error(node, f"aliases at {format_location(loc)[:80]} grow without end")
        self.open_nodes.add(id(node))
        try:
            yield
        finally:
            self.open_nodes.discard(id(node))

    def read_value(self, node: yaml.Node, loc: Loc) -> Any:
        """Return the plain data of a node, and note the line of each value in it."""
        if node.tag not in _TAGS[type(node)]:
            raise _yaml_error(node, f"a grid holds plain values, found the tag {node.tag!r}")
        self.source.lines.setdefault(loc, node.start_mark.line + 1)
        with self.guarded(node, loc):
            if isinstance(node, yaml.MappingNode):
                return self.read_mapping(node, loc)
            if isinstance(node, yaml.SequenceNode):
                return [self.read_value(item, (*loc, i)) for i, item in enumerate(node.value)]
            return self.read_scalar(node)

    def read_scalar(self, node: yaml.Node) -> Any:
        """Return the text, number, truth value or null of a node."""
        try:
            return _require_visible(node, self.loader.construct_object(node))
        except (ValueError, KeyError):
            kind = node.tag.removeprefix(_TAG)
            raise _yaml_error(node, f"not a usable {kind}: {str(node.value)[:40]}") from None

    def read_mapping(self, node: yaml.MappingNode, loc: Loc) -> dict[str, Any]:
        """Return the mapping of a node; add a problem for a key that occurs twice."""
        self.report_repeated_keys([key for key, _ in node.value if key.tag != _MERGE], loc)
        result: dict[str, Any] = {}
        for key, (key_node, value_node) in self.merge_pairs(node, loc).items():
            self.source.lines[(*loc, key)] = key_node.start_mark.line + 1
            result[key] = self.read_value(value_node, (*loc, key))
        return result

    def merge_pairs(
        self, node: yaml.MappingNode, loc: Loc
    ) -> dict[str, tuple[yaml.Node, yaml.Node]]:
        """Return key and value nodes by the key's name, those that `<<` merges in among them.

        A key of the mapping itself goes before one that is merged in.
        """
        found = {_key_name(key): (key, value) for key, value in node.value if key.tag != _MERGE}
        for merged in (value for key, value in node.value if key.tag == _MERGE):
            sources = merged.value if isinstance(merged, yaml.SequenceNode) else [merged]
            for source in sources:
                if not isinstance(source, yaml.MappingNode):
                    raise _yaml_error(
                        source, "expected a mapping, or a list of mappings, after `<<`"
                    )
                with self.guarded(source, loc):
                    found = {**self.merge_pairs(source, loc), **found}
        return found

    def report_repeated_keys(self, keys: list[yaml.Node], loc: Loc) -> None:
        """Add a problem for each key that a mapping has twice."""
        first: dict[str, int] = {}
        for key in keys:
            line, name = key.start_mark.line + 1, _key_name(key)
            if name in first:
                what = f"given twice; it already stands on line {first[name]}"
                self.source.problems.append(Problem(line, format_location((*loc, name)), what))
            first.setdefault(name, line)


def _key_name(key: yaml.Node) -> str:
    """Return the text of a mapping's key, `1` for the number 1; raise an error for a collection."""
    if not isinstance(key, yaml.ScalarNode):
        raise _yaml_error(key, "expected a name before ':', found a list or a mapping")
    return str(_require_visible(key, key.value))


def _require_visible(node: yaml.Node, value: Any) -> Any:
    """Return a value; raise an error for a text with characters that nobody sees in a name."""
    if isinstance(value, str):
        unseen = [c for c in value if unicodedata.category(c) in INVISIBLE_CATEGORIES]
        if unseen:
            raise _yaml_error(node, f"control characters in a text: {escape_invisible(value)[:60]}")
    return value
