"""Everything that a report states about one comparison, computed once."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import pandas as pd

from analysis.options import ReportOptions
from analysis.published import PublishedValue, find_published_values
from analysis.published.measured_beside_printed import PublishedPair, pair_published_values
from analysis.published.printed_values import EPOCHS_TO_ERROR
from analysis.schema import Results
from analysis.statistics.at_chance import is_uninformative
from analysis.statistics.comparison import Comparison, build_comparisons
from analysis.statistics.crossed_effects import CrossedMean, PackedBits, estimate_crossed_contrasts
from analysis.statistics.crossings import Crossing, find_crossings
from analysis.statistics.decomposition import DecomposedCell, decompose_norms
from analysis.statistics.failure_rates import FailureRate, compute_failure_rates
from analysis.statistics.inference.family import Contrast, Measure, Verdict, adjust_holm
from analysis.statistics.norm_measures import NormMeasures, compute_measures, get_default_margin
from analysis.statistics.survival import compute_times_to_threshold
from analysis.statistics.top5_errors import compare_by_top5
from analysis.statistics.win_probability import WinProbability, estimate_win_probability

SPLIT_SEED = 0


@dataclass(frozen=True)
class Findings:
    """A comparison with its measures, verdicts and times to the threshold.

    `trial_settings` has a row per trial and a column per setting; `correct` is as in `Results`.
    `report` holds the findings of the whole report, including these.
    """

    comparison: Comparison
    options: ReportOptions
    trial_settings: pd.DataFrame = field(default_factory=pd.DataFrame)
    correct: Mapping[str, PackedBits] = field(default_factory=dict)
    report: list[Findings] = field(default_factory=list, repr=False, compare=False)

    @cached_property
    def settings(self) -> dict[str, tuple[str, ...]]:
        """Values that each setting has in the trials, by its name; numbers in ascending order."""
        table = self.trial_settings
        found = {str(key): sorted(set(table[key]) - {""}, key=_get_value_sort_key) for key in table}
        return {key: tuple(values) for key, values in found.items() if values}

    @cached_property
    def margin(self) -> float:
        """Difference in error (points) that counts as none."""
        return self.options.margin or get_default_margin(self.comparison)

    @cached_property
    def measures(self) -> dict[str, NormMeasures]:
        """Robustness measures by norm; the halves of seeds are drawn from a fixed seed."""
        return compute_measures(self.comparison, self.margin, np.random.default_rng(SPLIT_SEED))

    @cached_property
    def crossings(self) -> dict[str, Crossing]:
        """The norms that are better than the reference at one batch size and worse at another."""
        return find_crossings(self.comparison)

    @cached_property
    def failure_rates(self) -> dict[tuple[str, int], FailureRate]:
        """How often each norm learnt nothing, by norm and batch size."""
        return compute_failure_rates(self.comparison)

    @cached_property
    def failure_p(self) -> dict[tuple[str, int], float]:
        """Holm-adjusted p of each failure rate, one family in the whole report."""
        beside = [
            r.p for item in self.report if item is not self for r in item.failure_rates.values()
        ]
        raw = [rate.p for rate in self.failure_rates.values()]
        adjusted = adjust_holm([*raw, *beside])[: len(raw)]
        return {key: float(p) for key, p in zip(self.failure_rates, adjusted, strict=True)}

    @cached_property
    def win_probabilities(self) -> dict[str, WinProbability]:
        """Probability, by norm, that its AUEC is lower than the reference's under the same seed.

        Norms that are the reference's network are left out, and those of which equality is no
        evidence, since one of the two is at chance.
        """
        comparison = self.comparison
        first = comparison.auec[comparison.reference]
        return {
            norm: estimate_win_probability(
                np.asarray(comparison.auec[norm] - first, dtype=np.float64)
            )
            for norm in comparison.distinct_norms[1:]
            if not is_uninformative(comparison, norm)
        }

    def is_uninformative(self, contrast: Contrast) -> bool:
        """Return whether equal levels are no evidence, since one of the two is at chance."""
        of_level = contrast.measure is not Measure.ROBUSTNESS
        return of_level and is_uninformative(self.comparison, contrast.norm)

    def is_within(self, contrast: Contrast) -> bool:
        """Return whether the contrast's interval lies within the margin, as far as that tells."""
        return contrast.lies_within(self.margin) and not self.is_uninformative(contrast)

    def decide(self, contrast: Contrast) -> Verdict:
        """Return the verdict on a contrast; nothing is equivalent only because of chance."""
        verdict = contrast.decide(self.margin)
        is_equal_by_chance = verdict is Verdict.EQUIVALENT and self.is_uninformative(contrast)
        return Verdict.UNDECIDED if is_equal_by_chance else verdict

    def is_equivalent(self, contrast: Contrast) -> bool:
        """Return whether the contrast is decided to be within the margin and not different."""
        return self.decide(contrast) is Verdict.EQUIVALENT

    @cached_property
    def decomposed_norms(self) -> dict[str, tuple[DecomposedCell, ...]]:
        """The norms that were tested with several kinds of test statistics."""
        return decompose_norms(self.comparison)

    @cached_property
    def by_top5(self) -> Comparison | None:
        """The comparison by top-5 error; None where no trial recorded it."""
        return compare_by_top5(self.comparison)

    @cached_property
    def test_set_contrasts(self) -> dict[str, CrossedMean]:
        """Differences from the reference over seeds and test examples, by norm."""
        return estimate_crossed_contrasts(self.comparison, self.correct)

    @cached_property
    def threshold(self) -> float | None:
        """Test error (percent) to reach: the reader's, else the one that the grid declares."""
        declared = self.settings.get("train.threshold", ())
        by_grid = float(declared[0]) if len(declared) == 1 else None
        return self.options.threshold or by_grid

    @cached_property
    def times(self) -> pd.DataFrame | None:
        """Times to the threshold, one row per trial; None without a threshold or curves."""
        if self.threshold is None or self.comparison.epochs.empty:
            return None
        return compute_times_to_threshold(
            self.comparison.trials, self.comparison.epochs, self.threshold
        )

    @cached_property
    def published(self) -> list[PublishedValue]:
        """Values that the papers print for the same data set, network, norms and batch sizes."""
        return find_published_values(self.comparison.trials)

    @cached_property
    def published_pairs(self) -> tuple[PublishedPair, ...]:
        """Printed values, each with the measured one."""
        return pair_published_values(
            self.published, self.comparison, self.by_top5, self._times_as_printed
        )

    @property
    def _times_as_printed(self) -> pd.DataFrame | None:
        """Times to the threshold if it is the one of the papers, so that these can be compared."""
        return self.times if self.threshold == EPOCHS_TO_ERROR else None


def compute_findings(results: Results, options: ReportOptions) -> tuple[Findings, ...]:
    """Return one `Findings` for each comparison in `results`."""
    report: list[Findings] = []
    report += [
        Findings(
            item,
            options,
            results.settings.loc[list(item.trials["trial_id"])],
            results.correct,
            report,
        )
        for item in build_comparisons(results, options.reference)
    ]
    return tuple(report)


def _get_value_sort_key(text: str) -> tuple[float, str]:
    """Return the sort key of a setting's value: numbers by their value, then text."""
    try:
        return float(text), text
    except ValueError:
        return np.inf, text
