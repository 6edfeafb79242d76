"""A comparison: the norms of one data set, network and variant against one reference."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from functools import cached_property

import numpy as np
import pandas as pd

from analysis.best import Best, lowest
from analysis.errors import InputError
from analysis.inference import ALPHA, Difference, Mean, difference, holm, t_interval
from analysis.robustness import auec, error_table
from analysis.same_network import same_networks
from analysis.schema import STRATUM, Trials, norms_in_order, scored
from analysis.strata import label_of, variant_order


@dataclass(frozen=True)
class Cell:
    """A norm at a batch size: what was asked for, how it ended, and its mean error (percent)."""

    norm: str
    batch_size: int
    seeds: tuple[int, ...]
    ended: tuple[int, ...]
    diverged: tuple[int, ...]
    error: Mean
    survivors: Mean

    @property
    def missing(self) -> tuple[int, ...]:
        """Seeds asked for that have no result."""
        return tuple(seed for seed in self.seeds if seed not in self.ended)


@dataclass(frozen=True)
class Gap:
    """A norm's difference from the reference, in percentage points, with its adjusted p.

    `family` counts the comparisons that p is adjusted for.
    """

    norm: str
    batch_size: int | None
    difference: Difference
    p_adjusted: float
    family: int

    @property
    def distinguishable(self) -> bool:
        """Whether the adjusted p is below 5 %."""
        return bool(self.p_adjusted < ALPHA)


@dataclass(frozen=True)
class Comparison:
    """One stratum's trials. `norms` has the reference first; `batch_sizes` fall.

    `expected` is what a grid asked for; where none did (`asked` is false), every norm at every
    batch size with the norm's own seeds.
    """

    label: str
    norms: tuple[str, ...]
    batch_sizes: tuple[int, ...]
    trials: pd.DataFrame
    epochs: pd.DataFrame
    expected: pd.DataFrame
    asked: bool = True

    @property
    def reference(self) -> str:
        """The norm that the others are compared with."""
        return self.norms[0]

    @cached_property
    def scored(self) -> pd.DataFrame:
        """The trials that ended with a result, with `error` in percent."""
        return scored(self.trials)

    @cached_property
    def same(self) -> tuple[tuple[str, ...], ...]:
        """Groups of norms that are the same network here, bit by bit."""
        return same_networks(self.trials, self.norms)

    @cached_property
    def distinct(self) -> tuple[str, ...]:
        """The norms, and of those that are the same network the first."""
        again = {norm for group in self.same for norm in group[1:]}
        return tuple(norm for norm in self.norms if norm not in again)

    @cached_property
    def common_batch_sizes(self) -> tuple[int, ...]:
        """Batch sizes asked for under every norm: those that AUEC runs over."""
        asked = self.expected.groupby("norm")["batch_size"].agg(set)
        return tuple(b for b in self.batch_sizes if all(b in sizes for sizes in asked))

    @cached_property
    def cells(self) -> dict[tuple[str, int], Cell]:
        """Every cell that was asked for, by norm and batch size."""
        asked = self.expected.groupby(["norm", "batch_size"])["seed"].agg(list)
        return {
            (norm, size): self._cell(norm, size, sorted(asked[norm, size]))
            for norm in self.norms
            for size in self.batch_sizes
            if (norm, size) in asked.index
        }

    def _cell(self, norm: str, size: int, seeds: list[int]) -> Cell:
        errors = self.errors(size).get(norm, pd.Series(dtype=float)).sort_index()
        diverged = self._diverged.get((norm, size), frozenset())
        survived = [seed not in diverged for seed in errors.index]
        return Cell(
            norm=norm,
            batch_size=size,
            seeds=tuple(int(seed) for seed in seeds),
            ended=tuple(int(seed) for seed in errors.index),
            diverged=tuple(sorted(diverged)),
            error=t_interval(errors.to_numpy(float)),
            survivors=t_interval(errors.to_numpy(float)[survived]),
        )

    def diverges_in_part(self, norm: str) -> bool:
        """Whether at some batch size some of the norm's seeds diverged, and others did not."""
        own = [cell for cell in self.cells.values() if cell.norm == norm]
        return any(0 < len(cell.diverged) < len(cell.ended) for cell in own)

    def diverged_in(self, norm: str, batch_size: int | None) -> int:
        """How many of the norm's trials at a batch size diverged (None: at those of AUEC)."""
        sizes = self.common_batch_sizes if batch_size is None else (batch_size,)
        return sum(len(self._diverged.get((norm, size), ())) for size in sizes)

    def rests_on_diverged(self, gap: Gap) -> bool:
        """Whether trials of the norm or of the reference behind the difference diverged."""
        return any(self.diverged_in(n, gap.batch_size) for n in (gap.norm, self.reference))

    @cached_property
    def _diverged(self) -> dict[tuple[str, int], frozenset[int]]:
        rows = self.scored[self.scored["diverged"]]
        found: dict[tuple[str, int], frozenset[int]] = {}
        for norm, size, seed in zip(rows["norm"], rows["batch_size"], rows["seed"], strict=True):
            key = (norm, int(size))
            found[key] = found.get(key, frozenset()) | {int(seed)}
        return found

    @cached_property
    def auec(self) -> dict[str, pd.Series[float]]:
        """Per norm the AUEC of each seed (percent) that has every common batch size."""
        sizes = self.common_batch_sizes
        if not sizes:
            return {norm: pd.Series(dtype=float) for norm in self.norms}
        tables = {norm: error_table(self.scored, norm, sizes) for norm in self.norms}
        return {norm: auec(table).dropna() for norm, table in tables.items()}

    @cached_property
    def primary(self) -> tuple[Gap, ...]:
        """Differences in AUEC from the reference: the one family that claims rest on (Holm).

        Norms that are the same network are there once, and none that is the reference's.
        """
        others = self.distinct[1:]
        found = [difference(self.auec[norm], self.auec[self.reference]) for norm in others]
        return family([(norm, None) for norm in others], found)

    @cached_property
    def gaps(self) -> tuple[Gap, ...]:
        """Differences from the reference at each batch size: exploratory, Holm over all."""
        columns = {size: self.errors(size) for size in self.batch_sizes}
        empty = pd.Series(dtype=float)
        pairs = [(norm, size) for norm in self.distinct[1:] for size in self.batch_sizes]
        found = [
            difference(columns[size].get(norm, empty), columns[size].get(self.reference, empty))
            for norm, size in pairs
        ]
        return family(pairs, found)

    def errors(self, batch_size: int) -> dict[str, pd.Series[float]]:
        """Per norm the errors (percent) at `batch_size`, indexed by seed."""
        return self._errors.get(batch_size, {})

    @cached_property
    def _errors(self) -> dict[int, dict[str, pd.Series[float]]]:
        found: dict[int, dict[str, pd.Series[float]]] = {}
        for size in self.batch_sizes:
            rows = self.scored[self.scored["batch_size"] == size]
            found[size] = {
                str(norm): part.set_index("seed")["error"] for norm, part in rows.groupby("norm")
            }
        return found

    def best(self, batch_size: int | None) -> Best | None:
        """The norm with the lowest mean at a batch size (None: AUEC); None without results."""
        return self._best[batch_size]

    @cached_property
    def _best(self) -> dict[int | None, Best | None]:
        # AUEC is the declared measure; the single batch sizes are exploratory, and one family.
        declared: dict[int | None, dict[str, pd.Series[float]]] = {None: self._distinct(self.auec)}
        single: dict[int | None, dict[str, pd.Series[float]]] = {
            size: self._distinct(self.errors(size)) for size in self.batch_sizes
        }
        return {
            **lowest(declared, self.reference, _adjusted(self.primary)),
            **lowest(single, self.reference, _adjusted(self.gaps)),
        }

    def _distinct(self, values: dict[str, pd.Series[float]]) -> dict[str, pd.Series[float]]:
        return {norm: found for norm, found in values.items() if norm in self.distinct}


def _adjusted(gaps: Sequence[Gap]) -> dict[tuple[str, int | None], float]:
    return {(gap.norm, gap.batch_size): gap.p_adjusted for gap in gaps}


def family(keys: Sequence[tuple[str, int | None]], found: Sequence[Difference]) -> tuple[Gap, ...]:
    """Differences of norms at batch sizes as one family, adjusted together by Holm."""
    adjusted = holm([item.p for item in found])
    size = int(np.count_nonzero(~np.isnan(adjusted)))
    return tuple(
        Gap(norm, batch_size, item, float(p), size)
        for (norm, batch_size), item, p in zip(keys, found, adjusted, strict=True)
    )


def comparisons(trials: Trials, reference: str | None = None) -> tuple[Comparison, ...]:
    """One comparison for each data set, network and variant; nothing is averaged over them.

    `reference` names the norm the others are compared with, else the one that the sweep
    declares, else its first. Raises `InputError` for a norm that is not there, or where no
    trial has ended with a result.
    """
    if scored(trials.trials).empty:
        counts = trials.trials["outcome"].value_counts()
        how = ", ".join(f"{number} {outcome}" for outcome, number in counts.items())
        raise InputError(f"{trials.name}: no trial has finished with a result ({how})")
    order = norms_in_order(trials)
    declared = trials.reference if trials.reference in order else order[0]
    chosen = reference or declared
    if chosen not in order:
        nearest = get_close_matches(chosen, order, n=1)
        guess = f"; did you mean {nearest[0]!r}?" if nearest else ""
        raise InputError(f"no norm {chosen!r} in {trials.name}{guess}. It has: {', '.join(order)}")
    order.sort(key=lambda norm: norm != chosen)
    groups = [part for _, part in trials.trials.groupby(STRATUM)]
    return tuple(_comparison(trials, part, order) for part in sorted(groups, key=_place))


def _place(part: pd.DataFrame) -> tuple[object, ...]:
    """Sorts strata by data set, edition and network, and then by the levels of their factors."""
    *first, variant = (str(part[name].iloc[0]) for name in STRATUM)
    return (*first, variant_order(variant))


def _comparison(trials: Trials, part: pd.DataFrame, order: Sequence[str]) -> Comparison:
    asked = _asked(trials.expected, part) if trials.asked else _crossed(part)
    present = set(asked["norm"])
    return Comparison(
        label=label_of({key: str(part[key].iloc[0]) for key in STRATUM}),
        norms=tuple(norm for norm in order if norm in present),
        batch_sizes=tuple(sorted((int(b) for b in set(asked["batch_size"])), reverse=True)),
        trials=part,
        epochs=trials.epochs[trials.epochs["trial_id"].isin(part["trial_id"])],
        expected=asked,
        asked=trials.asked,
    )


def _asked(expected: pd.DataFrame, part: pd.DataFrame) -> pd.DataFrame:
    """What the grids of the trials `part` ask for, and whatever else is there."""
    expected = expected[
        (expected["variant"] == part["variant"].iloc[0]) & expected["sweep"].isin(part["sweep"])
    ]
    return pd.concat([expected, part[expected.columns]]).drop_duplicates(
        ["norm", "batch_size", "seed"], ignore_index=True
    )


def _crossed(part: pd.DataFrame) -> pd.DataFrame:
    """Every norm of the trials `part` at every batch size, with the seeds that the norm has."""
    seeds = part[["norm", "seed"]].drop_duplicates()
    return seeds.merge(part[["batch_size"]].drop_duplicates(), how="cross")
