"""The bias of maxima and regrets, held to simulated sweeps in which the truth is known."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pandas as pd
import pytest

from analysis.statistics.selection_bias import (
    SelectedEstimate,
    estimate_regrets,
    estimate_worst_case,
    estimate_worst_rise,
)

Floats = npt.NDArray[np.float64]
FEW, MANY = 40, 400


def simulate(true: Floats, num_seeds: int, repeats: int) -> dict[str, tuple[Floats, Floats]]:
    """Mean value and mean estimated bias of each measure, by norm; noise has a sd of 1.

    `true` holds the true errors, a row per norm; what a seed shares among all cells has a sd of 2.
    """
    rng = np.random.default_rng(num_seeds)
    found: dict[str, list[list[tuple[float, float]]]] = {}
    for _ in range(repeats):
        errors = true[:, None, :] + rng.normal(size=(len(true), num_seeds, true.shape[1]))
        errors += rng.normal(0, 2, (1, num_seeds, 1))
        tables = {str(norm): pd.DataFrame(part) for norm, part in enumerate(errors)}
        regrets = estimate_regrets(tables, rng)
        measures: dict[str, list[SelectedEstimate]] = {
            "worst": [estimate_worst_case(table) for table in tables.values()],
            "rise": [estimate_worst_rise(table) for table in tables.values()],
            "split_mean": [regrets[norm].split_mean for norm in tables],
            "split_most": [regrets[norm].split_most for norm in tables],
            "most": [regrets[norm].most for norm in tables],
        }
        for name, items in measures.items():
            found.setdefault(name, []).append([(item.value, item.bias) for item in items])
    means = {name: np.array(items).mean(axis=0) for name, items in found.items()}
    return {name: (table[:, 0], table[:, 1]) for name, table in means.items()}


REPEATS = pytest.mark.parametrize("repeats", [FEW, pytest.param(MANY, marks=pytest.mark.slow)])


@REPEATS
@pytest.mark.parametrize(("num_seeds", "most"), [(3, 0.9), (4, 0.75), (10, 0.5)])
def test_of_equal_norms_most_of_the_bias_is_found(
    num_seeds: int, most: float, repeats: int
) -> None:
    """Four equal norms, five batch sizes: the true rise and regret are 0, the true worst case 0."""
    found = simulate(np.zeros((4, 5)), num_seeds, repeats)
    slack = 4 / np.sqrt(repeats * 4)
    value, bias = (part.mean() for part in found["split_most"])
    assert value == pytest.approx(most, abs=0.1 + slack / 4)
    assert 0.4 * value <= bias <= 1.1 * value
    for name, least in (("worst", 0.7), ("rise", 0.7), ("most", 0.55)):
        value, bias = (part.mean() for part in found[name])
        assert value > 0.25
        assert least * value - slack / 2 <= bias <= 1.15 * value + slack / 2, name


@REPEATS
def test_the_mean_of_split_regret_is_too_low_and_its_bias_says_so(repeats: int) -> None:
    true = np.array([0, 0.5, 1, 1.5])
    found = simulate(true[:, None] * np.ones((4, 5)), 3, repeats)
    value, bias = found["split_mean"]
    lies_below = true - value
    slack = 4 / np.sqrt(repeats * 5)
    assert lies_below == pytest.approx([0.35, 0.36, 0.35, 0.37], abs=slack)
    assert (bias < -0.1).all()
    assert (-bias < lies_below + slack).all()


def test_a_clear_maximum_has_no_bias() -> None:
    errors = pd.DataFrame(
        np.array([6.0, 6.1, 13.0]) + np.random.default_rng(0).normal(0, 0.1, (5, 3)),
        columns=[64, 8, 2],
    )
    worst, rise = estimate_worst_case(errors), estimate_worst_rise(errors)
    assert abs(worst.bias) < 0.01
    assert worst.value == pytest.approx(errors[2].mean())
    assert worst.standard_error == pytest.approx(0.1 / np.sqrt(5), rel=0.8)
    assert 0 <= rise.bias < 0.06  # of the lowest of two means, 6.0 and 6.1
    assert (worst.num, rise.num) == (5, 5)


def test_without_two_complete_seeds_the_bias_is_unknown() -> None:
    single = pd.DataFrame([[6.0, 7.0]], columns=[8, 2])
    found = estimate_worst_case(single)
    assert (found.value, found.num) == (7.0, 1)
    assert np.isnan([found.bias, found.standard_error]).all()
    regret = estimate_regrets({"a": single, "b": single + 1}, np.random.default_rng(0))["b"]
    assert regret.mean.value == 1
    assert np.isnan([regret.mean.bias, regret.split_mean.value]).all()


def test_a_shift_that_all_batch_sizes_of_a_seed_share_biases_nothing() -> None:
    shifts = np.array([[-5.0], [0.0], [5.0]])
    errors = pd.DataFrame(shifts + np.array([6.0, 6.0, 6.0]), columns=[64, 8, 2])
    worst, rise = estimate_worst_case(errors), estimate_worst_rise(errors)
    assert worst.bias == pytest.approx(0)
    assert worst.standard_error == pytest.approx(5 / np.sqrt(3))
    assert (rise.value, rise.bias, rise.standard_error) == pytest.approx((0, 0, 0))


def test_at_one_batch_size_nothing_is_chosen() -> None:
    errors = pd.DataFrame([[6.0], [7.0], [8.0]], columns=[64])
    found = estimate_worst_case(errors)
    assert (found.value, found.bias) == (7.0, 0.0)
    assert found.standard_error == pytest.approx(1 / np.sqrt(3), rel=0.2)


def test_a_cell_with_two_heaps_does_not_bias_the_regret_of_others() -> None:
    rng = np.random.default_rng(0)
    tables = {
        norm: pd.DataFrame(level + rng.normal(0, 0.1, (5, 2)), columns=[64, 2])
        for norm, level in (("a", 6.0), ("b", 7.0), ("half", 6.5))
    }
    tables["half"].loc[:1, 2] = 90.0
    found = estimate_regrets(tables, rng, {("half", 2)})
    assert all(abs(found[norm].most.bias) < 0.1 for norm in "ab")
    assert np.isnan(found["half"].most.bias)
    assert np.isnan(estimate_worst_case(tables["half"], two_heaps=True).bias)
