"""Protocols of several sources: which strata were trained in the same way, and what differs.

Two strata have one protocol where data set, preset, network and the meaning of their settings are
the same, and every setting but norm, batch size and seed has the same values at the norms and batch
sizes that both have. Further factors may be named in one and fixed in the other.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import pandas as pd

from analysis.schema import STRATUM_COLUMNS, Results

BLOCK_COLUMNS = [name for name in STRATUM_COLUMNS if name != "variant"]
CELL_COLUMNS = ["norm", "batch_size"]
SPEC_VERSION = "spec_version"
NORM_OPTIONS = "norm options"
SEEDING = "seeding"
MAX_SETTINGS_NAMED = 3
"""Settings that name a protocol, at most; of protocols that differ in more the sweeps do."""

StratumKey: TypeAlias = "tuple[int, tuple[str, ...], str]"
"""Place of the source, data set with preset and network, and variant."""


@dataclass(frozen=True)
class Stratum:
    """The trials of one source, data set, network and variant.

    `cells` has a row per trial: norm, batch size, and a column per setting.
    """

    source: int
    block: tuple[str, ...]
    variant: str
    trials: pd.DataFrame
    cells: pd.DataFrame

    @property
    def key(self) -> StratumKey:
        """What tells the stratum from all others."""
        return self.source, self.block, self.variant

    @property
    def data(self) -> tuple[str, ...]:
        """Data set, preset and network: the block whatever the seeding."""
        names = zip(BLOCK_COLUMNS, self.block, strict=True)
        return tuple(value for name, value in names if name != SEEDING)


def split_strata(source: int, part: Results) -> list[Stratum]:
    """Return the strata of one source, whose place among the sources is `source`."""
    settings = part.settings.reindex(part.trials["trial_id"]).fillna("").reset_index(drop=True)
    cells = part.trials[[*CELL_COLUMNS, SPEC_VERSION]].reset_index(drop=True)
    options = [part.norm_options.get(trial_id, "") for trial_id in part.trials["trial_id"]]
    cells = pd.concat([cells, settings], axis=1).assign(**{NORM_OPTIONS: options})
    # The column of the trials: a setting that is absent means streams by seed.
    cells = cells.assign(**{SEEDING: part.trials[SEEDING].to_numpy()})
    if not part.made_by_sweep:  # a table's variant need not be one of its settings
        cells = cells.assign(variant=part.trials["variant"].to_numpy())
    strata = []
    for key, place in part.trials.reset_index(drop=True).groupby(STRATUM_COLUMNS).groups.items():
        values = dict(zip(STRATUM_COLUMNS, key if isinstance(key, tuple) else (key,), strict=True))
        block = tuple(str(values[name]) for name in BLOCK_COLUMNS)
        trials = part.trials.reset_index(drop=True).loc[place]
        strata.append(Stratum(source, block, str(values["variant"]), trials, cells.loc[place]))
    return strata


def group_strata(strata: Iterable[Stratum]) -> list[list[Stratum]]:
    """Return the strata in groups of one protocol, at most one of each source in a group."""
    groups: list[list[Stratum]] = []
    for item in strata:
        for group in groups:
            if all(
                item.source != member.source
                and item.block == member.block
                and not list_differences(item, member)
                and not _have_rival_trials(item, member)
                for member in group
            ):
                group.append(item)
                break
        else:
            groups.append([item])
    return groups


def list_differences(first: Stratum, second: Stratum) -> list[str]:
    """Return the settings that differ between two strata, at norms and batch sizes that both have.

    Where they share no norm or no batch size, all values of a setting have to be the same ones;
    options of a norm are compared for the norms that both have.
    """
    pair = [first.cells, second.cells]
    for column in CELL_COLUMNS:
        shared = set(pair[0][column]) & set(pair[1][column])
        if shared:
            pair = [cells[cells[column].isin(shared)] for cells in pair]
    names = sorted({*first.cells, *second.cells} - set(CELL_COLUMNS))
    differing = []
    for name in names:
        if name == NORM_OPTIONS and not set(pair[0]["norm"]) & set(pair[1]["norm"]):
            continue
        values = [set(cells[name]) if name in cells else {""} for cells in pair]
        if values[0] != values[1]:
            differing.append(name)
    return differing


def _have_rival_trials(first: Stratum, second: Stratum) -> bool:
    """Return whether both have a norm, batch size and seed under different trial ids."""
    key = ["norm", "batch_size", "seed"]
    both = first.trials.merge(second.trials, on=key, suffixes=("_first", "_second"))
    return bool((both["trial_id_first"] != both["trial_id_second"]).any())


def name_groups(groups: Sequence[Sequence[Stratum]], names: Sequence[str]) -> dict[StratumKey, str]:
    """Return the variant under which each stratum is reported.

    A stratum's own where no other protocol has it; else the settings that differ, or the sweeps.

    Args:
        groups: strata of one protocol each.
        names: name of each source.
    """
    found: dict[StratumKey, str] = {}
    for place, group in enumerate(groups):
        beside = [g for i, g in enumerate(groups) if i != place and g[0].block == group[0].block]
        variant = _name_group(group, beside, names)
        found |= {item.key: variant for item in group}
    return found


def _name_group(
    group: Sequence[Stratum], beside: Sequence[Sequence[Stratum]], names: Sequence[str]
) -> str:
    """Return the variant of a group: its own, or with the settings or sweeps that make it differ.

    Args:
        group: strata of one protocol.
        beside: the groups of the same data set and network.
        names: name of each source.
    """
    own = {item.variant for item in group}
    others = {item.variant for other in beside for item in other}
    if len(own) == 1 and not own & others:
        return next(iter(own))
    rivals = [other for other in beside if own & {item.variant for item in other}] or beside
    differing = sorted({n for other in rivals for n in list_differences(group[0], other[0])})
    levels = _format_levels(group, differing)
    if differing and levels and levels not in [_format_levels(o, differing) for o in rivals]:
        return levels
    first = group[0].variant
    sweeps = f"sweep={' + '.join(names[item.source] for item in group)}"
    return f"{first}, {sweeps}" if first else sweeps


def _format_levels(group: Sequence[Stratum], settings: Sequence[str]) -> str:
    """Return the levels of settings in a group; empty where one varies or there are too many."""
    levels = []
    for name in settings:
        values = {str(v) for item in group for v in item.cells.get(name, pd.Series([""]))}
        if len(values) > 1 or name == NORM_OPTIONS:
            return ""
        levels.append(f"{name}={next(iter(values)) or 'null'}")
    return ", ".join(levels) if len(levels) <= MAX_SETTINGS_NAMED else ""
