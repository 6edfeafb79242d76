"""A comparison: the norms of one data set, network and variant against one reference."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from difflib import get_close_matches
from functools import cached_property

import pandas as pd

from analysis.errors import AnalysisError
from analysis.schema import (
    PER_SEED,
    STRATUM_COLUMNS,
    Results,
    UntrainedCells,
    order_norms,
    score_trials,
)
from analysis.statistics.at_chance import CellKeys, mark_at_chance, select_cells
from analysis.statistics.best_norms import (
    BestNorm,
    ValuesByColumn,
    compute_other_pairs_p,
    find_best_norms,
)
from analysis.statistics.cell import Cell
from analysis.statistics.contrasts import (
    ContrastTest,
    choose_test,
    estimate_cell_contrasts,
    estimate_declared_contrasts,
)
from analysis.statistics.expected_trials import cross_trials, select_expected
from analysis.statistics.identical_networks import find_identical_networks
from analysis.statistics.inference.family import Contrast, Measure, adjust_family
from analysis.statistics.inference.intervals import estimate_mean
from analysis.statistics.robustness import compute_auec, tabulate_norm_errors
from analysis.statistics.strata import format_stratum, get_variant_sort_key


@dataclass(frozen=True)
class Comparison:
    """The trials of one data set, network and variant, and the contrasts of its norms.

    Attributes: label: data set, network and variant, for readers. norms: labels, the reference
    first. batch_sizes: from large to small. expected: trials of the grid; without one (`has_grid`
    is false), every norm at every batch size with the norm's own seeds. seeding: what a trial's
    random streams depend on, `per_seed` or `per_cell`. report: all comparisons of
    the report, including this one, whose p values are adjusted together; empty where this one is
    alone.

    `made_by_sweep` and `untrained` are as in `Results`.
    """

    label: str
    norms: tuple[str, ...]
    batch_sizes: tuple[int, ...]
    trials: pd.DataFrame
    epochs: pd.DataFrame
    expected: pd.DataFrame
    has_grid: bool = True
    made_by_sweep: bool = True
    untrained: tuple[UntrainedCells, ...] = ()
    seeding: str = PER_SEED
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
        return score_trials(self.trials)

    @cached_property
    def at_chance(self) -> CellKeys:
        """The cells in which no trial is better than chance."""
        return select_cells(self.scored, mark_at_chance(self.scored))

    @cached_property
    def identical_networks(self) -> tuple[tuple[str, ...], ...]:
        """Groups of norms that are one network here, bit by bit."""
        return find_identical_networks(self.trials, self.norms)

    @cached_property
    def distinct_norms(self) -> tuple[str, ...]:
        """The norms without those that repeat the network of an earlier one."""
        again = {norm for group in self.identical_networks for norm in group[1:]}
        return tuple(norm for norm in self.norms if norm not in again)

    @cached_property
    def common_batch_sizes(self) -> tuple[int, ...]:
        """Batch sizes expected under every norm, over which AUEC is taken."""
        asked = self.expected.groupby("norm")["batch_size"].agg(set)
        return tuple(b for b in self.batch_sizes if all(b in sizes for sizes in asked))

    @cached_property
    def cells(self) -> dict[tuple[str, int], Cell]:
        """Every expected cell, by norm and batch size."""
        asked = self.expected.groupby(["norm", "batch_size"])["seed"].agg(list)
        return {
            (norm, size): self._build_cell(norm, size, sorted(asked[norm, size]))
            for norm in self.norms
            for size in self.batch_sizes
            if (norm, size) in asked.index
        }

    def _build_cell(self, norm: str, size: int, seeds: list[int]) -> Cell:
        """Return the cell of a norm at a batch size, given its expected seeds."""
        errors = self.get_errors(size).get(norm, pd.Series(dtype=float)).sort_index()
        diverged = self._diverged.get((norm, size), frozenset())
        survived = [seed not in diverged for seed in errors.index]
        return Cell(
            norm=norm,
            batch_size=size,
            seeds=tuple(int(seed) for seed in seeds),
            ended=tuple(int(seed) for seed in errors.index),
            diverged=tuple(sorted(diverged)),
            error=estimate_mean(errors.to_numpy(float)),
            survivors=estimate_mean(errors.to_numpy(float)[survived]),
        )

    def diverges_in_part(self, norm: str) -> bool:
        """Return whether some but not all seeds of the norm diverged at a batch size."""
        own = [cell for cell in self.cells.values() if cell.norm == norm]
        return any(0 < len(cell.diverged) < len(cell.ended) for cell in own)

    def count_diverged(self, norm: str, batch_size: int | None) -> int:
        """Return the number of diverged trials at a batch size (None: at those of AUEC)."""
        sizes = self.common_batch_sizes if batch_size is None else (batch_size,)
        return sum(len(self._diverged.get((norm, size), ())) for size in sizes)

    def rests_on_diverged(self, gap: Contrast) -> bool:
        """Return whether trials of the norm or of the reference behind the contrast diverged."""
        sizes = self.list_contrast_sizes(gap)
        return any(self.count_diverged(n, b) for n in (gap.norm, self.reference) for b in sizes)

    def list_contrast_sizes(self, gap: Contrast) -> tuple[int, ...]:
        """Return the batch sizes of a contrast's cells, from large to small."""
        if gap.batch_size is not None:
            return (gap.batch_size,)
        sizes = self.common_batch_sizes
        return sizes if gap.measure is Measure.LEVEL else (sizes[0], sizes[-1])

    @cached_property
    def _diverged(self) -> dict[tuple[str, int], frozenset[int]]:
        """Seeds that diverged, by norm and batch size."""
        rows = self.scored[self.scored["diverged"]]
        found: dict[tuple[str, int], frozenset[int]] = {}
        for norm, size, seed in zip(rows["norm"], rows["batch_size"], rows["seed"], strict=True):
            key = (norm, int(size))
            found[key] = found.get(key, frozenset()) | {int(seed)}
        return found

    @cached_property
    def auec(self) -> dict[str, pd.Series[float]]:
        """AUEC (percent) of each seed with every common batch size, by norm."""
        sizes = self.common_batch_sizes
        if not sizes:
            return {norm: pd.Series(dtype=float) for norm in self.norms}
        tables = {norm: tabulate_norm_errors(self.scored, norm, sizes) for norm in self.norms}
        return {norm: compute_auec(table).dropna() for norm, table in tables.items()}

    @cached_property
    def test(self) -> ContrastTest:
        """The test of the declared contrasts, chosen by the design."""
        return choose_test(self)

    @property
    def is_unpaired(self) -> bool:
        """Whether no norm has a seed with every batch size in common with the reference."""
        return self.test is ContrastTest.UNPAIRED

    @cached_property
    def declared_contrasts(self) -> tuple[Contrast, ...]:
        """The declared family, adjusted by Holm: level and robustness against the reference.

        By norm, the level first; the family is that of the whole report.
        """
        return self._adjust(lambda item: item._unadjusted_declared)

    @cached_property
    def cell_contrasts(self) -> tuple[Contrast, ...]:
        """Differences from the reference at each batch size: exploratory, adjusted by Holm
        together.
        """
        return self._adjust(lambda item: item._unadjusted_cells)

    def _adjust(self, select: Callable[[Comparison], list[Contrast]]) -> tuple[Contrast, ...]:
        """Return the contrasts that `select` gives, adjusted with those of the whole report."""
        beside = [gap.estimate.p for item in self.others for gap in select(item)]
        return adjust_family(select(self), beside)

    @cached_property
    def _unadjusted_declared(self) -> list[Contrast]:
        """The declared contrasts before Holm's adjustment."""
        return estimate_declared_contrasts(self)

    @cached_property
    def _unadjusted_cells(self) -> list[Contrast]:
        """The contrasts at single batch sizes before Holm's adjustment."""
        return estimate_cell_contrasts(self)

    def get_declared_contrasts(self, measure: Measure) -> tuple[Contrast, ...]:
        """Return the declared contrasts of one measure, by norm."""
        return tuple(gap for gap in self.declared_contrasts if gap.measure is measure)

    def get_errors(self, batch_size: int) -> dict[str, pd.Series[float]]:
        """Return errors (percent) at a batch size, indexed by seed, by norm."""
        return self._errors.get(batch_size, {})

    @cached_property
    def _errors(self) -> dict[int, dict[str, pd.Series[float]]]:
        """Errors (percent), indexed by seed, by batch size and norm."""
        found: dict[int, dict[str, pd.Series[float]]] = {}
        for size in self.batch_sizes:
            rows = self.scored[self.scored["batch_size"] == size]
            found[size] = {
                str(norm): part.set_index("seed")["error"] for norm, part in rows.groupby("norm")
            }
        return found

    def get_best_norm(self, batch_size: int | None) -> BestNorm | None:
        """Return the norm with the lowest mean at a batch size (None: AUEC), if there is one."""
        return self._best_norms[batch_size]

    @cached_property
    def _best_norms(self) -> dict[int | None, BestNorm | None]:
        """The norm with the lowest mean, by batch size (None: AUEC)."""
        # AUEC is the declared measure; the single batch sizes are exploratory, and one family.
        found: dict[int | None, BestNorm | None] = {}
        levels = self.get_declared_contrasts(Measure.LEVEL)
        for place, gaps in enumerate((levels, self.cell_contrasts)):
            beside = [p for item in self.others for p in item._other_pairs_p[place]]
            columns = self._value_columns[place]
            found |= find_best_norms(columns, self.reference, _index_adjusted_p(gaps), beside)
        return {
            size: None if self._are_norms_at_chance(size) else best for size, best in found.items()
        }

    def _are_norms_at_chance(self, batch_size: int | None) -> bool:
        """Return whether all norms are at chance at a batch size (None: at every one)."""
        there = [(c.norm, c.batch_size) for c in self.cells.values() if c.ended]
        if batch_size is not None:
            there = [key for key in there if key[1] == batch_size]
        return set(there) <= self.at_chance

    @cached_property
    def _value_columns(self) -> tuple[ValuesByColumn, ValuesByColumn]:
        """Values by norm and seed: AUEC (under None), and the error at each batch size."""
        single: dict[int | None, dict[str, pd.Series[float]]] = {
            size: self._select_distinct(self.get_errors(size)) for size in self.batch_sizes
        }
        return {None: self._select_distinct(self.auec)}, single

    @cached_property
    def _other_pairs_p(self) -> tuple[list[float], list[float]]:
        """Unadjusted p of pairs without the reference: those on AUEC, and those at batch sizes."""
        declared, single = (
            list(compute_other_pairs_p(columns, self.reference).values())
            for columns in self._value_columns
        )
        return declared, single

    def _select_distinct(self, values: dict[str, pd.Series[float]]) -> dict[str, pd.Series[float]]:
        """Return the values of distinct norms."""
        return {norm: found for norm, found in values.items() if norm in self.distinct_norms}


def _index_adjusted_p(contrasts: Sequence[Contrast]) -> dict[tuple[str, int | None], float]:
    """Return adjusted p by norm and batch size."""
    return {(gap.norm, gap.batch_size): gap.p_adjusted for gap in contrasts}


def build_comparisons(results: Results, reference: str | None = None) -> tuple[Comparison, ...]:
    """Return one comparison for each data set, network and variant; nothing is averaged over them.

    Trials whose random streams depend on the seed alone are never compared with those whose
    streams depend on (seed, batch size). The claims of all comparisons are one family.

    Args:
        results: the trials.
        reference: norm that the others are compared with; None for the one that the sweep declares,
            else its first.

    Raises:
        AnalysisError: `reference` is no norm of the results, or no trial has ended with a result.
    """
    if score_trials(results.trials).empty:
        counts = results.trials["outcome"].value_counts()
        how = ", ".join(f"{number} {outcome}" for outcome, number in counts.items())
        raise AnalysisError(f"{results.name}: no trial has finished with a result ({how})")
    order = order_norms(results)
    declared = results.reference if results.reference in order else order[0]
    chosen = reference or declared
    if chosen not in order:
        nearest = get_close_matches(chosen, order, n=1)
        guess = f"; did you mean {nearest[0]!r}?" if nearest else "."
        raise AnalysisError(
            f"no norm {chosen!r} in {results.name}{guess} It has: {', '.join(order)}"
        )
    order.sort(key=lambda norm: norm != chosen)
    groups = [part for _, part in results.trials.groupby(STRATUM_COLUMNS)]
    report: list[Comparison] = []
    report += [
        replace(_build_comparison(results, part, order), report=report)
        for part in sorted(groups, key=_get_sort_key)
    ]
    return tuple(report)


def _get_sort_key(trials: pd.DataFrame) -> tuple[object, ...]:
    """Return the sort key of a stratum: data set, preset, network, seeding, levels of factors."""
    *first, variant = (str(trials[name].iloc[0]) for name in STRATUM_COLUMNS)
    return (*first, get_variant_sort_key(variant))


def _build_comparison(
    results: Results, stratum_trials: pd.DataFrame, order: Sequence[str]
) -> Comparison:
    """Return the comparison of one stratum's trials."""
    first = {key: str(stratum_trials[key].iloc[0]) for key in STRATUM_COLUMNS}
    seedings = set(results.trials["seeding"])
    asked = (
        select_expected(results.expected, stratum_trials)
        if results.has_grid
        else cross_trials(stratum_trials)
    )
    present = set(asked["norm"])
    return Comparison(
        label=format_stratum(first if len(seedings) > 1 else first | {"seeding": ""}),
        seeding=first["seeding"],
        norms=tuple(norm for norm in order if norm in present),
        batch_sizes=tuple(sorted((int(b) for b in set(asked["batch_size"])), reverse=True)),
        trials=stratum_trials,
        epochs=results.epochs[results.epochs["trial_id"].isin(stratum_trials["trial_id"])],
        expected=asked,
        has_grid=results.has_grid,
        made_by_sweep=results.made_by_sweep,
        untrained=tuple(
            item
            for item in results.untrained
            if item.variant == first["variant"] and item.sweep in set(stratum_trials["sweep"])
        ),
    )
