"""Everything the report says of one comparison, computed once."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import pandas as pd

from analysis.options import Options
from analysis.published import Published, matching
from analysis.published.measured_beside_printed import Against, against
from analysis.published.printed_values import EPOCHS_TO_ERROR
from analysis.schema import Results
from analysis.statistics.at_chance import is_uninformative
from analysis.statistics.comparison import Comparison, build_comparisons
from analysis.statistics.crossed_effects import CrossedMean, PackedBits, estimate_crossed_contrasts
from analysis.statistics.decomposition import DecomposedCell, decompose_norms
from analysis.statistics.inference.equivalence import test_equivalence
from analysis.statistics.inference.family import Contrast, adjust_holm
from analysis.statistics.inference.intervals import ALPHA
from analysis.statistics.norm_measures import NormMeasures, compute_measures, get_default_margin
from analysis.statistics.survival import compute_times_to_threshold
from analysis.statistics.top5_errors import compare_by_top5

SPLIT_SEED = 0


@dataclass(frozen=True)
class Findings:
    """A comparison with its measures, equivalence tests and times to the threshold.

    `trial_settings` has a row per trial and a column per setting; `correct` says which test
    examples they had right. Both are as in `Trials`. `report` holds the findings of the whole
    report, these among them.
    """

    comparison: Comparison
    options: Options
    trial_settings: pd.DataFrame = field(default_factory=pd.DataFrame)
    correct: Mapping[str, PackedBits] = field(default_factory=dict)
    report: list[Findings] = field(default_factory=list, repr=False, compare=False)

    @cached_property
    def settings(self) -> dict[str, tuple[str, ...]]:
        """For each setting of the trials the values that occur, numbers by size."""
        table = self.trial_settings
        found = {str(key): sorted(set(table[key]) - {""}, key=_by_size) for key in table}
        return {key: tuple(values) for key, values in found.items() if values}

    @cached_property
    def margin(self) -> float:
        """The difference in error (points) that is taken to be none."""
        return self.options.margin or get_default_margin(self.comparison)

    @cached_property
    def measures(self) -> dict[str, NormMeasures]:
        """Each norm's robustness measures; the halves of seeds are drawn from a fixed seed."""
        return compute_measures(self.comparison, self.margin, np.random.default_rng(SPLIT_SEED))

    @cached_property
    def equivalent(self) -> dict[str, float]:
        """Per norm the Holm-adjusted p that its AUEC lies within the margin of the reference's.

        One family in the whole report, as the differences are. Missing where being alike is no
        evidence, as neither of the two has learnt anything.
        """
        raw = self._equivalence_p
        beside = [p for item in self.report if item is not self for p in item._equivalence_p]
        adjusted = adjust_holm([*raw, *beside])[: len(raw)]
        return {
            gap.norm: float(p)
            for gap, p in zip(self.comparison.declared_contrasts, adjusted, strict=True)
        }

    @cached_property
    def _equivalence_p(self) -> list[float]:
        return [
            np.nan
            if is_uninformative(self.comparison, gap.norm)
            else test_equivalence(gap.difference.paired, self.margin)
            for gap in self.comparison.declared_contrasts
        ]

    def is_equivalent(self, gap: Contrast) -> bool:
        """Whether `gap.norm` may be called as robust as the reference, within the margin."""
        return bool(self.equivalent[gap.norm] < ALPHA)

    @cached_property
    def decomposed(self) -> dict[str, tuple[DecomposedCell, ...]]:
        """The norms that were tested with several kinds of test statistics."""
        return decompose_norms(self.comparison)

    @cached_property
    def by_top5(self) -> Comparison | None:
        """The same comparison by top-5 error; None where nobody recorded it."""
        return compare_by_top5(self.comparison)

    @cached_property
    def test_set(self) -> dict[str, CrossedMean]:
        """Per norm its difference from the reference over seeds and test examples."""
        return estimate_crossed_contrasts(self.comparison, self.correct)

    @cached_property
    def threshold(self) -> float | None:
        """The test error (percent) to reach: the reader's, else the one that the grid declared."""
        declared = self.settings.get("train.threshold", ())
        by_grid = float(declared[0]) if len(declared) == 1 else None
        return self.options.threshold or by_grid

    @cached_property
    def times(self) -> pd.DataFrame | None:
        """Times to the threshold, one row per trial; None where none was declared."""
        if self.threshold is None or self.comparison.epochs.empty:
            return None
        return compute_times_to_threshold(
            self.comparison.trials, self.comparison.epochs, self.threshold
        )

    @cached_property
    def published(self) -> list[Published]:
        """What the papers print for the same data set, network, norms and batch sizes."""
        return matching(self.comparison.trials)

    @cached_property
    def against_published(self) -> tuple[Against, ...]:
        """Each printed figure beside the measured one."""
        return against(self.published, self.comparison, self.by_top5, self._times_as_printed)

    @property
    def _times_as_printed(self) -> pd.DataFrame | None:
        return self.times if self.threshold == EPOCHS_TO_ERROR else None


def findings_of(trials: Results, options: Options) -> tuple[Findings, ...]:
    """One `Findings` for each comparison that `trials` hold."""
    report: list[Findings] = []
    report += [
        Findings(
            item,
            options,
            trials.settings.loc[list(item.trials["trial_id"])],
            trials.correct,
            report,
        )
        for item in build_comparisons(trials, options.reference)
    ]
    return tuple(report)


def _by_size(text: str) -> tuple[float, str]:
    try:
        return float(text), text
    except ValueError:
        return np.inf, text
