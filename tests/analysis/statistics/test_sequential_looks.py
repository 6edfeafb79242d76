"""Looks after every seed: boundaries, decisions, and what simulated sweeps make of them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from scipy import special

from analysis.errors import AnalysisError
from analysis.statistics.inference.sequential_looks import (
    Decision,
    StoppingRule,
    boundaries,
    decide,
    decide_in_order,
)
from analysis.statistics.inference.weighted_contrasts import (
    Estimate,
    combined_estimate,
    level_weights,
    robustness_weights,
)

SIZES = (64, 16, 4, 2)
WEIGHTS = {"level": level_weights(SIZES), "robustness": robustness_weights(SIZES)}


def _with_p(p: float, value: float = 1.0, df: float = 4.0) -> Estimate:
    return Estimate(value, abs(value / special.stdtrit(df, p / 2)), df, 5)


def test_the_first_boundary_is_what_may_be_spent_then() -> None:
    for num_open in (1, 2, 8):
        expected = 0.05 / num_open * (3 / 12) ** 1.5
        # The relative error of a quantile is about that of the number of paths below it.
        assert boundaries(3, 12, num_open)[0] == pytest.approx(expected, rel=0.06)


def test_a_single_look_is_the_fixed_test() -> None:
    assert boundaries(6, 6, 1)[0] == pytest.approx(0.05, rel=0.01)


def test_boundaries_spend_five_per_cent_over_all_looks() -> None:
    rng = np.random.default_rng(99)
    values = rng.standard_normal((200_000, 12))
    claimed = np.zeros(len(values), dtype=bool)
    for n, bound in zip(range(3, 13), boundaries(3, 12, 1), strict=True):
        seen = values[:, :n]
        t = seen.mean(axis=1) / (seen.std(axis=1, ddof=1) / np.sqrt(n))
        claimed |= 2 * special.stdtr(n - 1, -np.abs(t)) <= bound
    assert claimed.mean() == pytest.approx(0.05, abs=0.002)


def test_a_rule_refuses_fewer_than_three_seeds_and_a_last_look_before_the_first() -> None:
    with pytest.raises(AnalysisError, match="first"):
        StoppingRule(2, 12, 1, 0.5)
    with pytest.raises(AnalysisError, match="last"):
        StoppingRule(5, 4, 1, 0.5)


def test_a_claim_widens_the_boundary_for_the_rest() -> None:
    rule = StoppingRule(3, 12, 2, 0.01)
    alone, both = boundaries(3, 12, 1)[2], boundaries(3, 12, 2)[2]
    between = (alone + both) / 2
    found = decide(rule, 5, {"level": _with_p(between), "robustness": _with_p(both / 2)}, 0)
    assert [look.decision for look in found.values()] == [Decision.REJECTED] * 2
    found = decide(rule, 5, {"level": _with_p(between), "robustness": _with_p(0.3)}, 0)
    assert found["level"].decision is Decision.OPEN


def test_a_small_interval_about_zero_is_equivalent() -> None:
    found = decide(StoppingRule(3, 12, 1, 0.5), 5, {"level": _with_p(0.3, value=0.01)}, 0)
    assert found["level"].decision is Decision.EQUIVALENT


def test_a_contrast_is_given_up_where_more_seeds_are_unlikely_to_show_it() -> None:
    rule = StoppingRule(3, 12, 1, 0.01)
    for num_seeds, p, expected in ((3, 0.9, "OPEN"), (5, 0.49, "OPEN"), (5, 0.51, "FUTILE")):
        found = decide(rule, num_seeds, {"level": _with_p(p)}, 0)
        assert found["level"].decision is Decision[expected]


def test_a_contrast_without_a_test_stays_open() -> None:
    found = decide(StoppingRule(3, 12, 1, 0.5), 3, {"level": Estimate(0.2, np.nan, np.nan, 3)}, 0)
    assert found["level"].decision is Decision.OPEN


def test_an_ended_contrast_is_not_looked_at_again() -> None:
    rule = StoppingRule(3, 12, 2, 0.01)
    looks = [{"level": _with_p(1e-6), "robustness": _with_p(0.2)}] * 2
    first, second = decide_in_order(rule, looks)
    assert first["level"].decision is Decision.REJECTED
    assert list(second) == ["robustness"]
    assert second["robustness"].boundary == boundaries(3, 12, 1)[1]


class _Result:
    """What a simulated sweep of `num_norms` against a reference came to."""

    def __init__(self, num_trials: int, claims: dict[str, set[int]]) -> None:
        self.num_trials = num_trials
        self.claims = claims


def _sweep(rng: np.random.Generator, num_norms: int, effect: Sequence[float]) -> _Result:
    """Train and look, seed by seed, at the cells that open contrasts need.

    `effect` is that on level and robustness, each in sd of the paired contrast of one seed.
    """
    rule = StoppingRule(3, 12, 2 * num_norms, margin=1e-6)
    sd = np.sqrt(2 * np.array([(w**2).sum() for w in WEIGHTS.values()]))
    shift = np.linalg.pinv(np.stack(list(WEIGHTS.values()))) @ (np.array(effect) * sd)
    errors = rng.standard_normal((num_norms + 1, len(SIZES), 12))
    errors[1:] += shift[:, None]
    contrasts = {
        f"{k} {what}": (k, w) for k in range(1, num_norms + 1) for what, w in WEIGHTS.items()
    }
    trained = np.full((num_norms + 1, len(SIZES)), 3)
    claims: dict[str, set[int]] = {what: set() for what in WEIGHTS}
    for n in range(3, 13):
        for k, w in contrasts.values():
            trained[k, w != 0] = trained[0, w != 0] = n
        found = decide(
            rule,
            n,
            {
                name: combined_estimate(list(errors[k, :, :n] - errors[0, :, :n]), w)
                for name, (k, w) in contrasts.items()
            },
            sum(map(len, claims.values())),
        )
        for name, look in found.items():
            if look.decision is Decision.REJECTED:
                claims[name.split()[1]].add(contrasts[name][0])
            if look.decision is not Decision.OPEN:
                del contrasts[name]
        if not contrasts:
            break
    return _Result(int(trained.sum()), claims)


@pytest.mark.slow
@pytest.mark.parametrize("num_norms", [1, 2, 4])
def test_two_thousand_simulated_sweeps_keep_the_family_error_and_save_trials(
    num_norms: int,
) -> None:
    rng = np.random.default_rng(num_norms)
    fixed = (num_norms + 1) * len(SIZES) * 10
    null = [_sweep(rng, num_norms, (0, 0)) for _ in range(2000)]
    false_claims = np.mean([any(result.claims.values()) for result in null])
    assert false_claims <= 0.055
    assert np.mean([result.num_trials for result in null]) <= 0.75 * fixed
    different = [_sweep(rng, num_norms, (2, 2)) for _ in range(500)]
    assert np.mean([result.num_trials for result in different]) <= 0.67 * fixed
    larger = [_sweep(rng, num_norms, rng.uniform(2, 4, 2)) for _ in range(500)]
    assert np.mean([result.num_trials for result in larger]) <= 0.6 * fixed
    level_only = [_sweep(rng, num_norms, (2, 0)) for _ in range(1000)]
    assert np.mean([bool(result.claims["robustness"]) for result in level_only]) <= 0.055
