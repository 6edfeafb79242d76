"""A norm that is better with large batches and worse with small ones is never averaged away."""

from __future__ import annotations

from pathlib import Path

import pytest
from made_up_table import only, rows_of, trials_of

from analysis.reporting.summary import summarize_results, write_answer
from analysis.statistics.crossings import find_crossings

CROSSED = {"a": {64: 6.0, 16: 6.5, 4: 7.5, 2: 9.0}, "b": {64: 8.0, 16: 7.3, 4: 6.7, 2: 7.0}}


def test_a_crossing_is_the_first_sentence(tmp_path: Path) -> None:
    trials = trials_of(tmp_path, rows_of(CROSSED, seeds=5, sd=0.1))
    first = write_answer(only(trials))[0]
    assert first.startswith("Which of b and a is better depends on the batch size: b's error is ")
    assert "points higher at 64 and " in first
    assert "points lower at 2 (each distinguishable" in first
    assert summarize_results(trials)[0] == first


def test_a_crossing_is_not_averaged_into_not_distinguishable(tmp_path: Path) -> None:
    levels = {"a": {64: 6.0, 2: 8.0}, "b": {64: 8.0, 2: 6.0}}
    text = " ".join(write_answer(only(trials_of(tmp_path, rows_of(levels, seeds=5, sd=0.1)))))
    assert "b's lower and higher errors average out to" in text
    assert "b and a are not distinguishable" not in text
    assert "equivalent" not in text


@pytest.mark.parametrize("sd", [0.1, 3.0])
def test_signs_that_are_not_shown_at_both_ends_are_no_crossing(sd: float, tmp_path: Path) -> None:
    levels = CROSSED if sd > 1 else {"a": {64: 6.0, 2: 8.0}, "b": {64: 6.02, 2: 6.0}}
    found = only(trials_of(tmp_path, rows_of(levels, seeds=4, sd=sd)))
    assert find_crossings(found.comparison) == {}


def test_of_many_crossing_norms_three_have_a_sentence(tmp_path: Path) -> None:
    levels = {"a": CROSSED["a"], **{f"b{i}": CROSSED["b"] for i in range(5)}}
    text = write_answer(only(trials_of(tmp_path, rows_of(levels, seeds=5, sd=0.1))))
    assert sum(line.startswith("Which of") for line in text) == 3
    assert text[3].startswith("The same holds for b3 and b4;")
