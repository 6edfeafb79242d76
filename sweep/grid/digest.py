"""A digest of what a grid's file says, by which the analysis tells whether it has been edited."""

from __future__ import annotations

import hashlib

import yaml

NOT_TRAINED = frozenset({"resources", "storage", "tracking", "checkpoint_every_s"})
"""Sections that say how and where trials are trained and kept, not which trials there are."""


def digest_of(root: yaml.Node) -> str:
    """The digest (SHA-256, hexadecimal) of a grid's node tree.

    Scalars count as their plain text. Comments, white space, quotes, the order of keys and the
    sections `NOT_TRAINED` do not count. `analysis.sources.grid_file` computes the same digest.
    Raises `RecursionError` where a node holds itself.

    >>> digest_of(yaml.compose("{a: 1, b: x}")) == digest_of(yaml.compose("b: 'x' # so\\na: 1"))
    True
    """
    if isinstance(root, yaml.MappingNode):
        kept = [pair for pair in root.value if pair[0].value not in NOT_TRAINED]
        root = yaml.MappingNode(root.tag, kept)
    return _digest(root, {})


def _digest(node: yaml.Node, known: dict[int, str]) -> str:
    """The digest of one node; `known` holds those of nodes that aliases repeat, by `id`."""
    if id(node) not in known:
        if isinstance(node, yaml.MappingNode):
            pairs = sorted(f"{_digest(k, known)}={_digest(v, known)}" for k, v in node.value)
            text = f"mapping:{','.join(pairs)}"
        elif isinstance(node, yaml.SequenceNode):
            text = f"sequence:{','.join(_digest(item, known) for item in node.value)}"
        else:
            text = f"scalar:{node.value}"
        known[id(node)] = hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
    return known[id(node)]
