"""The fields of a spec under dotted names, for MLflow's params and for comparisons of specs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any


def flatten_params(spec: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Yield the dotted name and the value of each field of a spec, as `record.json` holds it.

    A norm's name is the field `norm`; its options are `norm.num_groups` and the like.
    """
    for key, item in spec.items():
        name = f"{prefix}{key}"
        if name == "norm":
            yield "norm", item["name"]
            yield from flatten_params(item["options"], "norm.")
        elif isinstance(item, Mapping):
            yield from flatten_params(item, f"{name}.")
        else:
            yield name, item
