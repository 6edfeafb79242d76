"""Protocols of the papers, and where trials were trained otherwise."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache

import pandas as pd

from analysis.formatting import join_words
from analysis.published.printed_values import read_published_file

SETTING_NAMES = {
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
class PaperProtocol:
    """A paper's settings as text, by the names that a trial's settings have.

    A setting that depends on the batch size is a mapping from it. `approximate` are those that the
    paper gives roughly, `not_printed` those that it does not print.
    """

    printed: Mapping[str, str | Mapping[int, str]]
    approximate: frozenset[str]
    not_printed: tuple[str, ...]


@cache
def read_paper_protocol(paper: str) -> PaperProtocol:
    """Return the protocol of `paper`, one of `PAPERS`."""
    found = read_published_file()[paper]
    return PaperProtocol(
        printed={
            SETTING_NAMES[key]: {size: str(item) for size, item in value.items()}
            if isinstance(value, Mapping)
            else str(value)
            for key, value in found["protocol"].items()
            if key in SETTING_NAMES
        },
        approximate=frozenset(SETTING_NAMES[key] for key in found.get("about", ())),
        not_printed=tuple(SETTING_NAMES[key] for key in found.get("not_printed", ())),
    )


def describe_protocol_differences(
    paper: str, settings: pd.DataFrame, batch_sizes: pd.Series[int]
) -> list[str]:
    """Return sentences on settings that differ from `paper` and on settings it does not print.

    A setting that the trials do not state is left out.

    Args:
        paper: one of `PAPERS`.
        settings: a row per trial and a column per setting, text.
        batch_sizes: batch sizes of the same rows.
    """
    known = read_paper_protocol(paper)
    unlike = [
        f"{name} {text}"
        for name, printed in known.printed.items()
        if name in settings
        for text in _list_differences(
            settings[name], printed, batch_sizes, name in known.approximate
        )
    ]
    silent = [
        f"{name} (here {join_words(sorted(set(settings[name])))})"
        for name in known.not_printed
        if name in settings and (settings[name] != "").any()
    ]
    lines = [f"Not as printed there: {'; '.join(unlike)}."] if unlike else []
    return lines + ([f"Not printed there: {'; '.join(silent)}."] if silent else [])


def _list_differences(
    values: pd.Series[str],
    printed: str | Mapping[int, str],
    batch_sizes: pd.Series[int],
    is_approximate: bool,
) -> Iterator[str]:
    """Yield `50 (printed: 350)` for every value other than the printed one."""
    by_size = isinstance(printed, Mapping)
    groups: dict[tuple[str, str], list[int]] = {}
    for value, size in sorted(set(zip(values, batch_sizes, strict=True)), key=lambda p: -p[1]):
        expected = printed.get(size) if isinstance(printed, Mapping) else printed
        if value and expected is not None and not _are_equal(expected, value):
            groups.setdefault((value, expected), []).append(size)
    for (value, expected), sizes in groups.items():
        at = f" at batch size{'s'[: len(sizes) > 1]} {join_words(sizes)}" if by_size else ""
        yield f"{value}{at} (printed: {'about ' if is_approximate else ''}{expected})"


def _are_equal(printed: str, ours: str) -> bool:
    """Return whether two settings are the same number or text."""
    try:
        return float(printed) == float(ours)
    except ValueError:
        return printed == ours
