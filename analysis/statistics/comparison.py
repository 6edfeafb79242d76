"""A comparison: the norms of one data set, network and variant against one reference."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from difflib import get_close_matches
from functools import cached_property

import pandas as pd

from analysis.errors import InputError
from analysis.schema import STRATUM, LeftOut, Trials, norms_in_order, scored
from analysis.statistics.at_chance import Cells, cells_where, guessed
from analysis.statistics.best_norms import Best, Columns, between_others, lowest
from analysis.statistics.cell import Cell
from analysis.statistics.expected_trials import asked_for, crossed
from analysis.statistics.identical_networks import same_networks
from analysis.statistics.inference.differences import Difference, difference
from analysis.statistics.inference.family import Gap, family
from analysis.statistics.inference.intervals import t_interval
from analysis.statistics.robustness import auec, error_table
from analysis.statistics.strata import label_of, variant_order


@dataclass(frozen=True)
class Comparison:
    """One stratum's trials. `norms` has the reference first; `batch_sizes` fall.

    `expected` is what a grid asked for; where none did (`asked` is false), every norm at every
    batch size with the norm's own seeds. `report` holds all comparisons of the report, this one
    among them, whose p values are adjusted together; it is empty where this one stands alone.
    `made_by_sweep` and `left_out` are as in `Trials`.
    """

    label: str
    norms: tuple[str, ...]
    batch_sizes: tuple[int, ...]
    trials: pd.DataFrame
    epochs: pd.DataFrame
    expected: pd.DataFrame
    asked: bool = True
    made_by_sweep: bool = True
    left_out: tuple[LeftOut, ...] = ()
    report: list[Comparison] = field(default_factory=list, repr=False, compare=False)

    @property
    def others(self) -> list[Comparison]:
        """The other comparisons of the same report."""
        return [item for item in self.report if item is not self]

    @property
    def reference(self) -> str:
        """The norm that the others are compared with."""
        return self.norms[0]

    @cached_property
    def scored(self) -> pd.DataFrame:
        """The trials that ended with a result, with `error` in percent."""
        return scored(self.trials)

    @cached_property
    def at_chance(self) -> Cells:
        """The cells of which no trial has learnt anything."""
        return cells_where(self.scored, guessed(self.scored))

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
        keys = [(norm, None) for norm in self.distinct[1:]]
        return family(keys, self._declared, [p for item in self.others for p in item.declared_p])

    @cached_property
    def _declared(self) -> list[Difference]:
        first = self.auec[self.reference]
        return [difference(self.auec[norm], first) for norm in self.distinct[1:]]

    @property
    def is_unpaired(self) -> bool:
        """Whether no norm has a whole seed in common with the reference."""
        return all(found.paired.num == 0 for found in self._declared)

    @property
    def declared_p(self) -> list[float]:
        """The p, unadjusted, of each declared comparison: Welch's where nothing can be paired."""
        return [found.welch_p if self.is_unpaired else found.p for found in self._declared]

    @cached_property
    def gaps(self) -> tuple[Gap, ...]:
        """Differences from the reference at each batch size: exploratory, Holm over all."""
        beside = [found.p for item in self.others for found in item._single.values()]
        return family(list(self._single), list(self._single.values()), beside)

    @cached_property
    def _single(self) -> dict[tuple[str, int | None], Difference]:
        columns = {size: self.errors(size) for size in self.batch_sizes}
        empty = pd.Series(dtype=float)
        return {
            (norm, size): difference(
                columns[size].get(norm, empty), columns[size].get(self.reference, empty)
            )
            for norm in self.distinct[1:]
            for size in self.batch_sizes
        }

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
        found: dict[int | None, Best | None] = {}
        for place, gaps in enumerate((self.primary, self.gaps)):
            beside = [p for item in self.others for p in item._between_others[place]]
            columns = self._columns[place]
            found |= lowest(columns, self.reference, _adjusted(gaps), beside)
        return {size: None if self._is_guessed(size) else best for size, best in found.items()}

    def _is_guessed(self, batch_size: int | None) -> bool:
        """Whether no norm has learnt anything at a batch size (None: at any of them)."""
        there = [(c.norm, c.batch_size) for c in self.cells.values() if c.ended]
        if batch_size is not None:
            there = [key for key in there if key[1] == batch_size]
        return set(there) <= self.at_chance

    @cached_property
    def _columns(self) -> tuple[Columns, Columns]:
        """Values by norm and seed: AUEC (under None), and the error at each batch size."""
        single: dict[int | None, dict[str, pd.Series[float]]] = {
            size: self._distinct(self.errors(size)) for size in self.batch_sizes
        }
        return {None: self._distinct(self.auec)}, single

    @cached_property
    def _between_others(self) -> tuple[list[float], list[float]]:
        declared, single = (
            list(between_others(columns, self.reference).values()) for columns in self._columns
        )
        return declared, single

    def _distinct(self, values: dict[str, pd.Series[float]]) -> dict[str, pd.Series[float]]:
        return {norm: found for norm, found in values.items() if norm in self.distinct}


def _adjusted(gaps: Sequence[Gap]) -> dict[tuple[str, int | None], float]:
    return {(gap.norm, gap.batch_size): gap.p_adjusted for gap in gaps}


def comparisons(trials: Trials, reference: str | None = None) -> tuple[Comparison, ...]:
    """One comparison for each data set, network and variant; nothing is averaged over them.

    The claims of all of them are one family.
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
        guess = f"; did you mean {nearest[0]!r}?" if nearest else "."
        raise InputError(f"no norm {chosen!r} in {trials.name}{guess} It has: {', '.join(order)}")
    order.sort(key=lambda norm: norm != chosen)
    groups = [part for _, part in trials.trials.groupby(STRATUM)]
    report: list[Comparison] = []
    report += [
        replace(_comparison(trials, part, order), report=report)
        for part in sorted(groups, key=_place)
    ]
    return tuple(report)


def _place(part: pd.DataFrame) -> tuple[object, ...]:
    """Sorts strata by data set, edition and network, and then by the levels of their factors."""
    *first, variant = (str(part[name].iloc[0]) for name in STRATUM)
    return (*first, variant_order(variant))


def _comparison(trials: Trials, part: pd.DataFrame, order: Sequence[str]) -> Comparison:
    asked = asked_for(trials.expected, part) if trials.asked else crossed(part)
    present = set(asked["norm"])
    return Comparison(
        label=label_of({key: str(part[key].iloc[0]) for key in STRATUM}),
        norms=tuple(norm for norm in order if norm in present),
        batch_sizes=tuple(sorted((int(b) for b in set(asked["batch_size"])), reverse=True)),
        trials=part,
        epochs=trials.epochs[trials.epochs["trial_id"].isin(part["trial_id"])],
        expected=asked,
        asked=trials.asked,
        made_by_sweep=trials.made_by_sweep,
        left_out=tuple(
            item
            for item in trials.left_out
            if item.variant == part["variant"].iloc[0] and item.sweep in set(part["sweep"])
        ),
    )
