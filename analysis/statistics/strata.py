"""Strata, which nothing is averaged over: their names for readers, and their order."""

from __future__ import annotations

import re
from collections.abc import Mapping

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
    """The level of each further factor: of `a=1, b=null` it is `{"a": "1", "b": "null"}`.

    What is not written so, as in somebody else's table, is the level of a factor without a name.

    >>> levels_of("lr=0.1"), levels_of("adam, warm"), levels_of("")
    ({'lr': '0.1'}, {'': 'adam, warm'}, {})
    """
    parts = [part.partition("=") for part in variant.split(", ") if part]
    nameless = ", ".join("".join(part) for part in parts if not (part[0] and part[1]))
    named = {name: level for name, sign, level in parts if name and sign}
    return {"": nameless, **named} if nameless else named


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
