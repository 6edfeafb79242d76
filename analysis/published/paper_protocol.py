"""How the papers trained, and where trials were trained otherwise."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache

import pandas as pd

from analysis.formatting import listed
from analysis.published.printed_values import content

NAMES = {
    "model": "model.name",
    "augment": "data.augment",
    "epochs": "train.epochs",
    "lr": "train.optimizer.lr",
    "milestones": "train.schedule.milestones",
    "gamma": "train.schedule.gamma",
    "momentum": "train.optimizer.momentum",
    "weight_decay": "train.optimizer.weight_decay",
    "lr_scaling": "train.lr_scaling",
}


@dataclass(frozen=True)
class Protocol:
    """A paper's settings as text, by the names that a trial's settings have.

    What depends on the batch size is a mapping from it. `about` are those that the paper gives
    roughly, `not_printed` those that it keeps to itself.
    """

    printed: Mapping[str, str | Mapping[int, str]]
    about: frozenset[str]
    not_printed: tuple[str, ...]


@cache
def protocol(paper: str) -> Protocol:
    """How `paper`, one of `analysis.published.printed_values.PAPERS`, trained."""
    found = content()[paper]
    return Protocol(
        printed={
            NAMES[key]: {size: str(item) for size, item in value.items()}
            if isinstance(value, Mapping)
            else str(value)
            for key, value in found["protocol"].items()
            if key in NAMES
        },
        about=frozenset(NAMES[key] for key in found.get("about", ())),
        not_printed=tuple(NAMES[key] for key in found.get("not_printed", ())),
    )


def protocol_lines(paper: str, settings: pd.DataFrame, batch_sizes: pd.Series[int]) -> list[str]:
    """Where trials were not trained as `paper` prints it, and what it does not print, in words.

    `settings` has a row per trial and a column per setting, text; `batch_sizes` the same rows.
    A setting that the trials do not state is passed over.
    """
    known = protocol(paper)
    unlike = [
        f"{name} {text}"
        for name, printed in known.printed.items()
        if name in settings
        for text in _unlike(settings[name], printed, batch_sizes, name in known.about)
    ]
    silent = [
        f"{name} (here {listed(sorted(set(settings[name])))})"
        for name in known.not_printed
        if name in settings and (settings[name] != "").any()
    ]
    lines = [f"Not as printed there: {'; '.join(unlike)}."] if unlike else []
    return lines + ([f"Not printed there: {'; '.join(silent)}."] if silent else [])


def _unlike(
    values: pd.Series[str],
    printed: str | Mapping[int, str],
    batch_sizes: pd.Series[int],
    about: bool,
) -> Iterator[str]:
    """`50 (printed: 350)` for every value that is not the printed one, with its batch sizes."""
    by_size = isinstance(printed, Mapping)
    groups: dict[tuple[str, str], list[int]] = {}
    for value, size in sorted(set(zip(values, batch_sizes, strict=True)), key=lambda p: -p[1]):
        expected = printed.get(size) if isinstance(printed, Mapping) else printed
        if value and expected is not None and not _same(expected, value):
            groups.setdefault((value, expected), []).append(size)
    for (value, expected), sizes in groups.items():
        at = f" at batch size{'s'[: len(sizes) > 1]} {listed(sizes)}" if by_size else ""
        yield f"{value}{at} (printed: {'about ' if about else ''}{expected})"


def _same(printed: str, ours: str) -> bool:
    """Whether two settings are the same number or text."""
    try:
        return float(printed) == float(ours)
    except ValueError:
        return printed == ours
