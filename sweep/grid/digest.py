"""The digest of a grid's content, by which `analysis` sees that the file has been edited."""

from __future__ import annotations

import hashlib

import yaml

NOT_TRAINED = frozenset({"resources", "storage", "tracking", "checkpoint_every_s"})
"""Sections that say how and where trials are trained and kept, not which trials there are."""


def compute_digest(root: yaml.Node) -> str:
    """Return the digest (SHA-256, hexadecimal) of a grid's node tree.

    Scalars count as their plain text. Comments, white space, quotes, the order of keys and the
    sections `NOT_TRAINED` do not count. `analysis.sources.grid_file` computes the same digest.
    Raises `RecursionError` where a node holds itself.

    >>> one, other = yaml.compose("{a: 1, b: x}"), yaml.compose("b: 'x' # so\\na: 1")
    >>> compute_digest(one) == compute_digest(other)
    True
    """
    if isinstance(root, yaml.MappingNode):
        kept = [pair for pair in root.value if pair[0].value not in NOT_TRAINED]
        root = yaml.MappingNode(root.tag, kept)
    return _digest(root, {})


def _digest(node: yaml.Node, known: dict[int, str]) -> str:
    """Return the digest of a node; `known` holds digests by `id`, for nodes that aliases repeat."""
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
