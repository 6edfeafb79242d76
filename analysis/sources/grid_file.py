"""A grid's file beside the sweep that it names: whether the sweep was run with it as it stands."""

from __future__ import annotations

import hashlib
import shlex
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from analysis.errors import InputError

NOT_TRAINED = frozenset({"resources", "storage", "tracking", "checkpoint_every_s"})
"""Sections that say how and where trials are trained and kept, not which trials there are."""


@dataclass(frozen=True)
class GridFile:
    """A grid's file as it stands: its path, the sweep's name, and the digest of its content."""

    path: Path
    name: str
    digest: str


def read_grid(path: Path) -> tuple[dict[str, Any], GridFile]:
    """The grid in the file `path` as data, and what to compare with the sweep that was run.

    Raises `InputError`, one line, where the file is no grid.
    """
    try:
        loader = yaml.SafeLoader(path.read_text(encoding="utf-8"))
        root = loader.get_single_node()
        digest = digest_of(root) if root is not None else ""
        grid = loader.construct_document(root) if root is not None else None
    except (OSError, ValueError, RecursionError, yaml.YAMLError) as error:
        raise InputError(f"{path} cannot be read: {str(error).splitlines()[0]}") from error
    if not isinstance(grid, dict) or "factors" not in grid or not isinstance(grid.get("name"), str):
        raise InputError(f"{path} is no grid: it must have `name` and `factors`")
    return grid, GridFile(path, grid["name"], digest)


def digest_of(root: yaml.Node) -> str:
    """The digest that `sweep.grid.digest.digest_of` computes: this package imports no other.

    >>> digest_of(yaml.compose("{a: 1, b: x}")) == digest_of(yaml.compose("b: 'x' # so\\na: 1"))
    True
    """
    known: dict[int, str] = {}

    def digest(node: yaml.Node) -> str:
        if id(node) not in known:
            if isinstance(node, yaml.MappingNode):
                pairs = sorted(f"{digest(key)}={digest(value)}" for key, value in node.value)
                text = f"mapping:{','.join(pairs)}"
            elif isinstance(node, yaml.SequenceNode):
                text = f"sequence:{','.join(map(digest, node.value))}"
            else:
                text = f"scalar:{node.value}"
            known[id(node)] = hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
        return known[id(node)]

    if isinstance(root, yaml.MappingNode):
        kept = [pair for pair in root.value if pair[0].value not in NOT_TRAINED]
        root = yaml.MappingNode(root.tag, kept)
    return digest(root)


def differences(
    grid: GridFile, sweeps: set[str], run_with: dict[str, Any], place: str
) -> list[str]:
    """Warnings on what cannot be said of the file, beside what the sweep was last run with.

    `sweeps` names the sweeps at the place that is read, and `run_with` holds by sweep the
    `digest` of the file and the `changes` (`--set`) that it was last run with. `place` is what to
    type for the sweep as it was run. Raises `InputError` where the file says something else.
    """
    path, name = grid.path, grid.name
    typed = shlex.quote(str(path))
    if name not in sweeps:
        raise InputError(
            f"{place} holds no sweep {name}, which {path} names: `norm-sweep run {typed}` first"
        )
    last = run_with.get(name)
    digest = last.get("digest") if isinstance(last, dict) else None
    if not digest:
        return [
            f"The sweep {name} does not say which grid file it was run with (it was run with an "
            f"earlier version), so {path} could not be compared with it."
        ]
    if digest != grid.digest:
        report = f"norm-sweep report {shlex.quote(place)}"
        raise InputError(
            f"{path} is not the grid that the sweep {name} was last run with: `norm-sweep run "
            f"{typed}` first, or report the sweep as it was run: `{report}`"
        )
    changes = last.get("changes") if isinstance(last, dict) else ""
    if changes:
        return [f"The sweep {name} was last run with {changes}, which {path} does not say."]
    return []
