"""Strata, over which nothing is averaged: their labels and their order."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence

from analysis.schema import PER_CELL, PER_SEED, SEEDINGS

SEEDING_LABELS = {PER_SEED: "streams by seed", PER_CELL: "streams by seed and batch size"}
_UPDATES = re.compile(r"train\.optimizer_batch_size=(\d+|null)")


def shorten_preset(preset_text: str) -> str:
    """Return a preset text without its details: `(small edition)` for `(small edition: …)`."""
    title, colon, _ = preset_text.partition(":")
    return f"{title})" if colon else preset_text


def format_stratum(stratum: Mapping[str, str]) -> str:
    """Return a stratum's label for readers: its data set, model, seeding and further factors.

    `seeding` is empty or absent where all trials of a report have the same one.
    """
    data = " ".join(
        part for part in (stratum["dataset"], shorten_preset(stratum["edition"])) if part
    )
    variant = _UPDATES.sub(_describe_optimizer_step, stratum["variant"])
    seeding = SEEDING_LABELS.get(stratum.get("seeding", ""), "")
    return ", ".join(part for part in (data, stratum["model"], seeding, variant) if part)


def format_names(names: Sequence[str], *, with_seeding: bool) -> str:
    """Return the parts of a stratum's name in one text, that of its seeding where asked for."""
    kept = [name for name in names if name and (with_seeding or name not in SEEDINGS)]
    return ", ".join(SEEDING_LABELS.get(name, name) for name in kept)


def _describe_optimizer_step(match: re.Match[str]) -> str:
    """Return a level of `train.optimizer_batch_size` in words."""
    level = match.group(1)
    return f"optimizer steps after {'each batch' if level == 'null' else f'{level} examples'}"


def parse_levels(variant: str) -> dict[str, str]:
    """Return the level of each further factor by name.

    A part that is not `name=level`, as in a table of other origin, is the level of a factor without
    a name. A level that contains `, ` is written as a JSON string: `a="x, y", b=1`.

    >>> parse_levels("lr=0.1"), parse_levels("adam, warm"), parse_levels("")
    ({'lr': '0.1'}, {'': 'adam, warm'}, {})
    >>> parse_levels('layer="stem, b=2", lr=1')
    {'layer': 'stem, b=2', 'lr': '1'}
    """
    parts = list(_split_variant(variant))
    nameless = ", ".join("".join(part) for part in parts if not (part[0] and part[1]))
    named = {name: level for name, sign, level in parts if name and sign}
    return {"": nameless, **named} if nameless else named


def remove_levels(variant: str, levels: Mapping[str, str]) -> str:
    """Return the variant without the parts that name one of `levels`.

    Args:
        variant: levels of further factors, as the column `variant` holds them.
        levels: level as text, by the factor's name.

    >>> remove_levels("lr=0.1, epochs=2", {"lr": "0.1", "epochs": "3"})
    'epochs=2'
    >>> remove_levels('layer="stem, b=2", lr=1', {"lr": "1"})
    'layer="stem, b=2"'
    """
    parts = list(_split_variant(variant))
    kept = [part for part in parts if not (part[1] and levels.get(part[0]) == part[2])]
    if len(kept) == len(parts):
        return variant
    return ", ".join(f"{name}{sign}{_quote_level(level)}" for name, sign, level in kept)


def _quote_level(level: str) -> str:
    """Return a level as a variant holds it: as a JSON string where the level contains `, `."""
    is_ambiguous = ", " in level or level.startswith('"')
    return json.dumps(level, ensure_ascii=False) if is_ambiguous else level


def _split_variant(variant: str) -> Iterator[tuple[str, str, str]]:
    """Yield a variant's parts as name, `=` and level, the last two empty if there is no `=`."""
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


def get_variant_sort_key(variant: str) -> tuple[tuple[str, int, float, str], ...]:
    """Return the sort key of a variant: `null` first, then numbers by size, then text."""
    return tuple(
        (name, *_get_level_sort_key(level)) for name, level in parse_levels(variant).items()
    )


def _get_level_sort_key(level: str) -> tuple[int, float, str]:
    """Return the sort key of a level: `null` first, then numbers by size, then text."""
    if level == "null":
        return 0, 0.0, ""
    try:
        return 1, float(level), ""
    except ValueError:
        return 2, 0.0, level
