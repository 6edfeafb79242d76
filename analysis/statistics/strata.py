"""Strata, which nothing is averaged over: their names for readers, and their order."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping

_UPDATES = re.compile(r"train\.optimizer_batch_size=(\d+|null)")


def in_short(edition: str) -> str:
    """An edition for labels: of `(small edition: …)` what comes before the colon."""
    title, colon, _ = edition.partition(":")
    return f"{title})" if colon else edition


def label_of(stratum: Mapping[str, str]) -> str:
    """A stratum's name for readers: its data set, model and further factors."""
    data = " ".join(part for part in (stratum["dataset"], in_short(stratum["edition"])) if part)
    variant = _UPDATES.sub(_in_words, stratum["variant"])
    return ", ".join(part for part in (data, stratum["model"], variant) if part)


def _in_words(found: re.Match[str]) -> str:
    level = found.group(1)
    return f"optimizer steps after {'each batch' if level == 'null' else f'{level} examples'}"


def levels_of(variant: str) -> dict[str, str]:
    """Return the level of each extra factor: of `a=1, b=null` `{"a": "1", "b": "null"}`.

    A level with `, ` in it is a JSON string: `a="x, y", b=1`. What is not written in this way, as
    in somebody else's table, is the level of a factor without a name.

    >>> levels_of("lr=0.1"), levels_of("adam, warm"), levels_of("")
    ({'lr': '0.1'}, {'': 'adam, warm'}, {})
    >>> levels_of('layer="stem, b=2", lr=1')
    {'layer': 'stem, b=2', 'lr': '1'}
    """
    parts = list(_split_variant(variant))
    nameless = ", ".join("".join(part) for part in parts if not (part[0] and part[1]))
    named = {name: level for name, sign, level in parts if name and sign}
    return {"": nameless, **named} if nameless else named


def _split_variant(variant: str) -> Iterator[tuple[str, str, str]]:
    """Yield a variant's parts as name, `=` and level; the last two are empty where `=` is not."""
    while variant:
        name, sign, rest = variant.partition("=")
        if rest.startswith('"') and ", " not in name:
            try:
                level, end = json.JSONDecoder().raw_decode(rest)
            except ValueError:
                end = -1
            if end > 0 and (end == len(rest) or rest.startswith(", ", end)):
                yield name, sign, level
                variant = rest[end + 2 :]
                continue
        part, _, variant = variant.partition(", ")
        if part:
            yield part.partition("=")


def variant_order(variant: str) -> tuple[tuple[str, int, float, str], ...]:
    """Sorts variants: what is left as it is (`null`) first, then numbers by size, then text."""
    return tuple((name, *_level_order(level)) for name, level in levels_of(variant).items())


def _level_order(level: str) -> tuple[int, float, str]:
    if level == "null":
        return 0, 0.0, ""
    try:
        return 1, float(level), ""
    except ValueError:
        return 2, 0.0, level
