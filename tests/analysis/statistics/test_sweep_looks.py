"""A look at a sweep: which test, which cells, which contrasts stay open."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest

from analysis.errors import AnalysisError
from analysis.statistics.inference.sequential_looks import Decision, boundaries
from analysis.statistics.inference.weighted_contrasts import (
    combined_estimate,
    level_weights,
    paired_estimate,
)
from analysis.statistics.sweep_looks import (
    DeclaredContrast,
    LookRule,
    Measure,
    Seeding,
    take_look,
)

SIZES = (16, 4, 2)
LEVEL = DeclaredContrast("", "gn", Measure.LEVEL, SIZES)
ROBUSTNESS = DeclaredContrast("", "gn", Measure.ROBUSTNESS, SIZES)
RNG_SEED = 3


def rule_of(*contrasts: DeclaredContrast, **changes: object) -> LookRule:
    fields = {
        "first": 3,
        "last": 4,
        "reference": "bn",
        "seeding": Seeding.PER_SEED,
        "contrasts": contrasts or (LEVEL, ROBUSTNESS),
        "margins": {"": 0.5, "lr=1": 0.5},
    }
    return LookRule(**{**fields, **changes})  # type: ignore[arg-type]


def make_errors(
    level: float = 0.0, rise: float = 0.0, variant: str = "", sd: float = 0.1, num_seeds: int = 4
) -> dict[tuple[str, str, int, int], float]:
    """Errors of two norms; `gn` is off by `level`, and by `rise` more at the smallest batch."""
    rng = np.random.default_rng(RNG_SEED)
    errors = {}
    for norm, size, seed in product(("bn", "gn"), SIZES, range(num_seeds)):
        shift = level + rise * (size == SIZES[-1]) if norm == "gn" else 0.0
        errors[variant, norm, size, seed] = 10 + shift + rng.normal(0, sd)
    return errors


def decisions(rule: LookRule, num_seeds: int, *arguments: object) -> list[Decision]:
    return [item.look.decision for item in take_look(rule, num_seeds, *arguments)]  # type: ignore[arg-type]


def test_robustness_needs_the_largest_and_the_smallest_batch_size_alone() -> None:
    assert LEVEL.needed_batch_sizes == SIZES
    assert ROBUSTNESS.needed_batch_sizes == (16, 2)


@pytest.mark.parametrize(
    ("level", "rise", "expected"),
    [(-3.0, 0.0, (True, False)), (0.0, 40.0, (True, True)), (0.0, 0.0, (False, False))],
)
def test_a_difference_is_claimed_where_it_is(
    level: float, rise: float, expected: tuple[bool, bool]
) -> None:
    found = decisions(rule_of(), 3, make_errors(level, rise))
    assert tuple(item is Decision.REJECTED for item in found) == expected


def test_the_seeding_chooses_the_test() -> None:
    errors = make_errors(1.0)
    differences = np.array(
        [[errors["", "gn", b, s] - errors["", "bn", b, s] for b in SIZES] for s in range(3)]
    )
    weights = level_weights(SIZES)
    for seeding, expected in (
        (Seeding.PER_SEED, paired_estimate(differences, weights)),
        (Seeding.PER_CELL, combined_estimate(list(differences.T), weights)),
    ):
        (found,) = take_look(rule_of(LEVEL, seeding=seeding), 3, errors)
        assert found.look.estimate == expected
        assert found.is_complete


def test_a_look_sees_the_seeds_before_it_alone() -> None:
    errors = make_errors(-3.0)
    later = {key: value + 50 * (key[3] == 3) for key, value in errors.items()}
    assert take_look(rule_of(), 3, errors) == take_look(rule_of(), 3, later)


def test_a_contrast_with_a_trial_without_a_result_stays_open_and_the_others_do_not() -> None:
    errors = make_errors(-3.0, 40.0)
    del errors["", "gn", 4, 1]  # a batch size between, which robustness does not need
    level, robustness = take_look(rule_of(), 3, errors)
    assert (level.look.decision, level.is_complete) == (Decision.OPEN, False)
    assert (robustness.look.decision, robustness.is_complete) == (Decision.REJECTED, True)


def test_what_is_decided_is_not_looked_at_again_and_needs_no_trials() -> None:
    errors = make_errors(-3.0, num_seeds=3)
    errors |= {key: 10.0 for key in make_errors() if key[2] != 4}
    earlier = [{LEVEL: Decision.REJECTED, ROBUSTNESS: Decision.OPEN}]
    (found,) = take_look(rule_of(), 4, errors, earlier)
    assert found.contrast is ROBUSTNESS
    assert found.is_complete
    assert found.look.boundary == boundaries(3, 4, 1)[1]  # the claim passed its share on


def test_contrasts_of_all_variants_share_the_five_per_cent() -> None:
    other = DeclaredContrast("lr=1", "gn", Measure.LEVEL, SIZES)
    errors = make_errors() | make_errors(variant="lr=1")
    for rule, size in ((rule_of(LEVEL), 1), (rule_of(LEVEL, other), 2)):
        smallest = min(item.look.boundary for item in take_look(rule, 3, errors))
        assert smallest == boundaries(3, 4, size)[0]


def test_each_variant_has_its_margin() -> None:
    other = DeclaredContrast("lr=1", "gn", Measure.LEVEL, SIZES)
    errors = make_errors(sd=0.01) | make_errors(variant="lr=1", sd=0.01)
    rule = rule_of(LEVEL, other, margins={"": 1e-6, "lr=1": 1.0})
    first, second = decisions(rule, 3, errors)
    assert first is not Decision.EQUIVALENT
    assert second is Decision.EQUIVALENT


def test_stored_boundaries_hold_whatever_this_version_would_compute() -> None:
    errors = make_errors(-3.0)
    none_passes = ((0.0, 0.0),) * 2
    assert Decision.REJECTED not in decisions(rule_of(boundaries=none_passes), 3, errors)


def test_a_family_without_a_contrast_is_refused() -> None:
    with pytest.raises(AnalysisError, match="at least one contrast"):
        rule_of(contrasts=())
