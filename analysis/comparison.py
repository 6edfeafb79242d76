"""A comparison: the norms of one data set, network and variant against one reference."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from functools import cached_property

import pandas as pd

from analysis.errors import InputError
from analysis.inference import ALPHA, Difference, Mean, difference, holm, t_interval
from analysis.robustness import auec, error_table
from analysis.schema import STRATUM, Trials, label_of, norms_in_order, scored


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
    """A norm's difference from the reference, in percentage points, with its adjusted p."""

    norm: str
    batch_size: int | None
    difference: Difference
    p_adjusted: float

    @property
    def distinguishable(self) -> bool:
        """Whether the adjusted p is below 5 %."""
        return bool(self.p_adjusted < ALPHA)


@dataclass(frozen=True)
class Comparison:
    """One stratum's trials. `norms` has the reference first; `batch_sizes` fall."""

    label: str
    norms: tuple[str, ...]
    batch_sizes: tuple[int, ...]
    trials: pd.DataFrame
    epochs: pd.DataFrame
    expected: pd.DataFrame

    @property
    def reference(self) -> str:
        """The norm that the others are compared with."""
        return self.norms[0]

    @cached_property
    def scored(self) -> pd.DataFrame:
        """The trials that ended with a result, with `error` in percent."""
        return scored(self.trials)

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
        rows = self.scored
        rows = rows[(rows["norm"] == norm) & (rows["batch_size"] == size)].sort_values("seed")
        survivors = rows[~rows["diverged"]]
        return Cell(
            norm=norm,
            batch_size=size,
            seeds=tuple(int(seed) for seed in seeds),
            ended=tuple(int(seed) for seed in rows["seed"]),
            diverged=tuple(int(seed) for seed in rows["seed"][rows["diverged"]]),
            error=t_interval(rows["error"].to_numpy(float)),
            survivors=t_interval(survivors["error"].to_numpy(float)),
        )

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
        """Differences in AUEC from the reference: the one family that claims rest on (Holm)."""
        others = self.norms[1:]
        found = [difference(self.auec[norm], self.auec[self.reference]) for norm in others]
        adjusted = holm([item.p for item in found])
        return tuple(
            Gap(norm, None, item, float(p))
            for norm, item, p in zip(others, found, adjusted, strict=True)
        )

    @cached_property
    def gaps(self) -> tuple[Gap, ...]:
        """Differences from the reference at each batch size: exploratory, Holm over all."""
        columns = {size: self.errors(size) for size in self.batch_sizes}
        empty = pd.Series(dtype=float)
        pairs = [(norm, size) for norm in self.norms[1:] for size in self.batch_sizes]
        found = [
            difference(columns[size].get(norm, empty), columns[size].get(self.reference, empty))
            for norm, size in pairs
        ]
        adjusted = holm([item.p for item in found])
        return tuple(
            Gap(norm, size, item, float(p))
            for (norm, size), item, p in zip(pairs, found, adjusted, strict=True)
        )

    def errors(self, batch_size: int) -> dict[str, pd.Series[float]]:
        """Per norm the errors (percent) at `batch_size`, indexed by seed."""
        rows = self.scored[self.scored["batch_size"] == batch_size]
        return {str(norm): part.set_index("seed")["error"] for norm, part in rows.groupby("norm")}

    def best(self, batch_size: int | None) -> tuple[str, list[str]] | None:
        """The norm with the lowest mean at a batch size (None: AUEC), and those not set apart.

        A norm is set apart where its paired difference is significant after Holm over all pairs
        of norms, which allows for the best having been picked by the same data.
        """
        values = self.auec if batch_size is None else self.errors(batch_size)
        means = {norm: v.mean() for norm, v in values.items() if len(v)}
        if not means:
            return None
        best = min(means, key=lambda norm: means[norm])
        names = [norm for norm in self.norms if norm in means]
        pairs = [(a, b) for i, a in enumerate(names) for b in names[i + 1 :]]
        adjusted = holm([difference(values[a], values[b]).p for a, b in pairs])
        apart = {
            (set(pair) - {best}).pop()
            for pair, p in zip(pairs, adjusted, strict=True)
            if best in pair and p < ALPHA
        }
        return best, [norm for norm in names if norm != best and norm not in apart]


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
    chosen = reference or trials.reference or order[0]
    if chosen not in order:
        nearest = get_close_matches(chosen, order, n=1)
        guess = f"; did you mean {nearest[0]!r}?" if nearest else ""
        raise InputError(f"no norm {chosen!r} in {trials.name}{guess} It has: {', '.join(order)}")
    order.sort(key=lambda norm: norm != chosen)
    groups = trials.trials.groupby(STRATUM, sort=True)
    return tuple(_comparison(trials, part, order) for _, part in groups)


def _comparison(trials: Trials, part: pd.DataFrame, order: Sequence[str]) -> Comparison:
    expected = trials.expected
    expected = expected[
        (expected["variant"] == part["variant"].iloc[0]) & expected["sweep"].isin(part["sweep"])
    ]
    asked = pd.concat([expected, part[expected.columns]]).drop_duplicates(
        ["norm", "batch_size", "seed"], ignore_index=True
    )
    present = set(asked["norm"])
    return Comparison(
        label=label_of({key: str(part[key].iloc[0]) for key in STRATUM}),
        norms=tuple(norm for norm in order if norm in present),
        batch_sizes=tuple(sorted((int(b) for b in set(asked["batch_size"])), reverse=True)),
        trials=part,
        epochs=trials.epochs[trials.epochs["trial_id"].isin(part["trial_id"])],
        expected=asked,
    )
