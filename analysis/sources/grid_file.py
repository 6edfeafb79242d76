"""A grid file beside the sweep that it names: whether the sweep was run with the same grid."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from analysis.errors import AnalysisError

UNTRAINED_SECTIONS = frozenset({"resources", "storage", "tracking", "checkpoint_every_s"})
"""Sections that say how and where trials are trained and kept, not which trials there are."""


@dataclass(frozen=True)
class GridFile:
    """A grid file: its path, the sweep's name, and the digest of its content."""

    path: Path
    name: str
    digest: str


def read_grid(path: Path) -> tuple[dict[str, Any], GridFile]:
    """Return the grid in the file `path` as data, and its `GridFile`.

    Raises `InputError`, one line, where the file is no grid.
    """
    try:
        loader = yaml.SafeLoader(path.read_text(encoding="utf-8"))
        root = loader.get_single_node()
        digest = compute_grid_digest(root) if root is not None else ""
        grid = loader.construct_document(root) if root is not None else None
    except (OSError, ValueError, RecursionError, yaml.YAMLError) as error:
        raise AnalysisError(f"{path} cannot be read: {str(error).splitlines()[0]}") from error
    if not isinstance(grid, dict) or "factors" not in grid or not isinstance(grid.get("name"), str):
        raise AnalysisError(f"{path} is no grid: it must have `name` and `factors`")
    return grid, GridFile(path, grid["name"], digest)


def compute_grid_digest(root: yaml.Node) -> str:
    """Return the digest that `sweep.grid.digest` computes, which this package does not import.

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
        kept = [pair for pair in root.value if pair[0].value not in UNTRAINED_SECTIONS]
        root = yaml.MappingNode(root.tag, kept)
    return digest(root)


def check_grid_matches_run(
    grid: GridFile, sweeps: set[str], grid_states: dict[str, Any], typed_source: str
) -> list[str]:
    """Return warnings where a grid file cannot be compared with its sweep's last run, or differs.

    Args:
        grid: the grid file.
        sweeps: names of the sweeps in the source.
        grid_states: by sweep the `digest` of the file and the `changes` (`--set`) of its last run.
        typed_source: what a user types for the sweep as it was run.

    Raises:
        AnalysisError: the source has no such sweep, or it was run with another grid.
    """
    path, name = grid.path, grid.name
    if name not in sweeps:
        raise AnalysisError(
            f"{typed_source} holds no sweep {name}, which {path} names: `norm-sweep run {path}` first"
        )
    last = grid_states.get(name)
    digest = last.get("digest") if isinstance(last, dict) else None
    if not digest:
        return [
            f"The sweep {name} does not say which grid file it was run with (it was run with an "
            f"earlier version), so {path} could not be compared with it."
        ]
    if digest != grid.digest:
        raise AnalysisError(
            f"{path} is not the grid that the sweep {name} was last run with: `norm-sweep run "
            f"{path}` first, or report the sweep as it was run: `norm-sweep report {typed_source}`"
        )
    changes = last.get("changes") if isinstance(last, dict) else ""
    if changes:
        return [f"The sweep {name} was last run with {changes}, which {path} does not say."]
    return []
