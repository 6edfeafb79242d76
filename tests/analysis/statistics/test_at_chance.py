"""What has learnt nothing is said to, and is neither praised nor called equivalent."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from made_up_table import only, rows_of, trials_of
from scipy import stats

from analysis.reporting.power_sentences import describe_closest_call
from analysis.reporting.summary import summarize_results, write_answer
from analysis.reporting.tables import build_contrast_table
from analysis.statistics.at_chance import list_norms_at_chance, mark_at_chance

SIZES = (64, 16, 4, 2)


def guessing(norm: str, sizes: tuple[int, ...] = SIZES, seeds: int = 5) -> list[str]:
    """Rows of a network that guesses among ten classes on 10,000 test examples."""
    rng = np.random.default_rng(5)
    return [
        f"{norm},{size},{seed},{100 * rng.binomial(10_000, 0.9) / 10_000},completed,90,digits,cnn,"
        "10000"
        for size in sizes
        for seed in range(seeds)
    ]


@pytest.mark.parametrize(("num_test", "told"), [(10_000, 0.3), (360, 1.58), (None, 0.949)])
def test_an_error_within_the_binomial_noise_of_guessing_is_chance(
    num_test: int | None, told: float
) -> None:
    """Three standard deviations of a binomial proportion of 0.9; of 1,000 examples if unsaid."""
    deviation = 100 * stats.binom(num_test or 1000, 0.9).std() / (num_test or 1000)
    assert deviation == pytest.approx(told, abs=0.005)
    errors = [90 - 2.9 * deviation, 90 - 3.1 * deviation, 95.0, np.nan]
    frame = pd.DataFrame(
        {
            "error": errors,
            "chance_error": [90.0, 90.0, 90.0, np.nan],
            "num_test": pd.array([num_test] * 4, dtype="Int64"),
            "diverged": False,
        }
    )
    assert mark_at_chance(frame).tolist() == [True, False, True, False]


def test_a_norm_at_chance_where_it_has_a_result_is_said_to_lack_the_others(tmp_path: Path) -> None:
    rows = rows_of({"bn": {64: 9.7, 16: 11}}, seeds=5) + guessing("dead", (64,))
    failed = [f"dead,16,{seed},,failed,90,digits,cnn,10000" for seed in range(5)]
    text = write_answer(only(trials_of(tmp_path, rows + failed)))[0]
    assert text.startswith(
        "dead has learnt nothing at any batch size at which it has a result: every trial with a "
        "result diverged or ended at the error of guessing (90 %)"
    )


def test_a_norm_at_chance_everywhere_is_named_and_not_praised(tmp_path: Path) -> None:
    rows = rows_of({"bn": {64: 9.7, 16: 11, 4: 14.9, 2: 24.2}}, seeds=5) + guessing("dead")
    found = only(trials_of(tmp_path, rows))
    text = write_answer(found)
    assert text[0].startswith("dead has learnt nothing at any batch size: every trial diverged or")
    assert "the error of guessing (90 %)" in text[0]
    assert "Look at the learning rate first" in text[0]
    assert not any("dead" in line and "least" in line for line in text)
    assert "76" in text[1]
    assert np.isnan(found.measures["dead"].safe)
    assert found.measures["bn"].regret_mean.value == 0
    assert found.measures["dead"].regret_mean.value > 60


def test_where_every_trial_is_at_chance_nothing_else_is_said(tmp_path: Path) -> None:
    found = only(trials_of(tmp_path, [*guessing("a"), *guessing("b")]))
    (line,) = write_answer(found)
    assert line.startswith("No trial has learnt anything: ")
    assert "learning rate" in line
    assert "equivalent" not in line
    assert {str(found.decide(gap)) for gap in found.comparison.declared_contrasts} == {"undecided"}
    assert describe_closest_call(found) == []
    assert np.isnan([found.measures["a"].safe, found.measures["a"].regret_mean.value]).all()
    assert found.comparison.get_best_norm(2) is None
    ((_, cells),) = build_contrast_table(found).rows
    assert {cell.note for cell in cells} == {"both at chance"}
    assert not any(cell.best for cell in cells)
    assert summarize_results(trials_of(tmp_path, [*guessing("a"), *guessing("b")]))[1] == line


def test_norms_that_guess_alike_at_one_batch_size_are_not_equivalent(tmp_path: Path) -> None:
    rows = rows_of({"a": {64: 6, 4: 6}, "b": {64: 6, 4: 6}}, seeds=5)
    alike = only(trials_of(tmp_path, rows))
    assert alike.is_equivalent(alike.comparison.declared_contrasts[0])
    found = only(trials_of(tmp_path, [*rows, *guessing("a", (2,)), *guessing("b", (2,))]))
    assert list_norms_at_chance(found.comparison) == ()
    assert not found.is_equivalent(found.comparison.declared_contrasts[0])
    text = " ".join(write_answer(found))
    assert "At batch size 2 no norm has learnt anything" in text
    assert "equivalent" not in text
    assert found.comparison.get_best_norm(2) is None
    measures = found.measures["a"]
    assert measures.safe == 4  # halved four times, and the fifth is lost
    assert measures.regret_max.value < 0.1


def test_no_error_at_all_is_named_as_the_floor(tmp_path: Path) -> None:
    rows = rows_of({"a": {64: 6, 4: 7}, "b": {64: 5, 4: 6.5}})
    rows += [f"c,{size},{s},0,completed,90,digits,cnn,360" for size in (64, 4) for s in range(3)]
    text = write_answer(only(trials_of(tmp_path, rows)))
    assert text[0].startswith("c makes no error at any batch size (0 %), and no error can be lower")
    (axes,) = [line for line in text if line.startswith("As measured")]
    assert "c has the lowest average error (0.00 %)" in axes
    assert "the error of a rises least" in axes


def test_accuracies_in_the_column_of_errors_are_recognised(tmp_path: Path) -> None:
    """Guessing among ten classes errs 90 % ± 1.6 points over 360 examples; 96.9 is 4.4 of them."""
    accuracies = rows_of({"a": {64: 96.9, 4: 93}, "b": {64: 97, 4: 96.8}})
    (line,) = write_answer(only(trials_of(tmp_path, accuracies)))
    assert "within the noise of 360 test examples, or above it by more than that." in line
    assert "look like accuracies in the wrong column" in line
    assert "learning rate" not in line
    (line,) = write_answer(only(trials_of(tmp_path, [*guessing("a"), *guessing("b")])))
    assert "accuracies" not in line
