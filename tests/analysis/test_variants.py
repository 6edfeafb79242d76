"""A grid over several learning rates: one family of claims, and a sign that depends on the rate."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from made_up_table import BASE, rows_of, trials_of
from scipy import stats
from statsmodels.stats.multitest import multipletests

from analysis.findings import compute_findings
from analysis.options import ReportOptions
from analysis.reporting.page import build_page
from analysis.reporting.summary import summarize_findings, write_answer
from analysis.schema import Results
from analysis.statistics.inference.intervals import ALPHA

HEADER = BASE + ",variant"


def at(rate: float, levels: dict[str, dict[int, float]], **how: float) -> list[str]:
    return [f"{row},train.optimizer.lr={rate}" for row in rows_of(levels, **how)]  # type: ignore[arg-type]


def null_table(rng: np.random.Generator, tmp_path: Path) -> Results:
    rows = [
        f"{norm},{size},{seed},{rng.normal(20, 1)},completed,90,digits,cnn,360,lr={rate}"
        for rate in range(5)
        for norm in ("a", "b")
        for size in (64, 8)
        for seed in range(5)
    ]
    return trials_of(tmp_path, rows, HEADER)


def test_the_declared_comparisons_of_a_report_are_one_family(tmp_path: Path) -> None:
    trials = null_table(np.random.default_rng(3), tmp_path)
    found = compute_findings(trials, ReportOptions())
    gaps = [gap for item in found for gap in item.comparison.declared_contrasts]
    raw = []
    for item in found:
        errors = item.comparison.scored.pivot(
            index="seed", columns=["norm", "batch_size"], values="error"
        )
        level = (errors["b"] - errors["a"]).mean(axis=1)
        rise = (errors["b"] - errors["a"])[8] - (errors["b"] - errors["a"])[64]
        raw += [stats.ttest_1samp(values, 0).pvalue for values in (level, rise)]
    assert [gap.p_adjusted for gap in gaps] == pytest.approx(multipletests(raw, method="holm")[1])
    assert {gap.family_size for gap in gaps} == {10}
    cells = [gap for item in found for gap in item.comparison.cell_contrasts]
    expected = multipletests([gap.estimate.p for gap in cells], method="holm")[1]
    assert [gap.p_adjusted for gap in cells] == pytest.approx(expected)


@pytest.mark.slow
def test_five_variants_without_any_difference_seldom_hold_a_claim(tmp_path: Path) -> None:
    """Of 300 tables at most 8 % hold a declared claim; with a family a variant it was a quarter."""
    rng, repeats = np.random.default_rng(0), 300
    claims = singly = 0
    for _ in range(repeats):
        found = compute_findings(null_table(rng, tmp_path), ReportOptions())
        gaps = [gap for item in found for gap in item.comparison.declared_contrasts]
        claims += any(gap.is_significant for gap in gaps)
        singly += any(gap.estimate.p < ALPHA for gap in gaps)
    assert singly / repeats > 0.15
    assert claims / repeats <= 0.08


def test_a_sign_that_depends_on_the_rate_is_said_before_anything_else(tmp_path: Path) -> None:
    rows = at(0.2, {"bn": {64: 40, 8: 30}, "gn": {64: 20, 8: 15}})
    rows += at(0.05, {"bn": {64: 10, 8: 12}, "gn": {64: 10.01, 8: 12.01}}, sd=0.4)
    rows += at(0.01, {"bn": {64: 10, 8: 9}, "gn": {64: 25, 8: 20}})
    trials = trials_of(tmp_path, rows, HEADER)
    found = compute_findings(trials, ReportOptions())
    first = summarize_findings(found)[0]
    assert first.startswith(
        "Whether gn's average error is higher or lower than bn's depends on train.optimizer.lr: "
    )
    assert "higher at 0.01 (+12.99 points)" in first
    assert "lower at 0.2 (−17.5" in first
    assert "at 0.05" in first
    section = build_page(trials, found).sections[0]
    assert section.answer[0] == first
    assert "that level alone" in section.answer[-1]


def test_signs_that_the_seeds_do_not_show_are_no_dependence(tmp_path: Path) -> None:
    trials = null_table(np.random.default_rng(3), tmp_path)
    assert not any(
        "depends on" in line
        for line in summarize_findings(compute_findings(trials, ReportOptions()))
    )


def test_a_rate_at_which_nothing_is_learnt_does_not_turn_a_sign(tmp_path: Path) -> None:
    rows = at(0.1, {"bn": {64: 6, 8: 8}, "gn": {64: 9, 8: 9}})
    rows += at(50, {"bn": {64: 90.2, 8: 90.2}, "gn": {64: 89.9, 8: 89.9}}, sd=0.01)
    found = compute_findings(trials_of(tmp_path, rows, HEADER), ReportOptions())
    assert not any("depends on" in line for line in summarize_findings(found))
    dead = next(item for item in found if "50" in item.comparison.label)
    assert write_answer(dead)[0].startswith("No trial has learnt anything")


@pytest.mark.parametrize(
    ("one", "other"),
    [("0.1", "0.5"), ("adam", "sgd"), ("lr=0.1", "warm"), ("adam; lr 1", "sgd; lr 2")],
)
def test_a_variant_that_names_no_factor_is_told_whole(tmp_path: Path, one: str, other: str) -> None:
    shifted = {one: {"bn": {64: 10, 8: 12}, "gn": {64: 8, 8: 9}}}
    shifted[other] = {"bn": {64: 10, 8: 12}, "gn": {64: 13, 8: 16}}
    rows = [f"{row},{level}" for level, table in shifted.items() for row in rows_of(table)]
    (first, *_) = summarize_findings(
        compute_findings(trials_of(tmp_path, rows, HEADER), ReportOptions())
    )
    assert "'s depends on the variant: " in first
    assert f"lower at {one} (−2." in first
    assert f"higher at {other} (+3." in first
    assert f"{one}=" not in first


def test_levels_without_a_name_are_sorted_by_size(tmp_path: Path) -> None:
    table = {"bn": {64: 10, 8: 12}, "gn": {64: 8, 8: 9}}
    rows = [f"{row},{level}" for level in (10, 9, 0.5) for row in rows_of(table)]
    found = compute_findings(trials_of(tmp_path, rows, HEADER), ReportOptions())
    assert [item.comparison.trials["variant"].iloc[0] for item in found] == ["0.5", "9", "10"]


def test_a_factor_with_a_name_is_named_beside_a_level_without(tmp_path: Path) -> None:
    tables = {0.1: {"bn": {64: 10}, "gn": {64: 8}}, 0.5: {"bn": {64: 10}, "gn": {64: 13}}}
    rows = [f'{row},"adam, lr={rate}"' for rate, table in tables.items() for row in rows_of(table)]
    (first, *_) = summarize_findings(
        compute_findings(trials_of(tmp_path, rows, HEADER), ReportOptions())
    )
    assert "depends on lr: lower at 0.1 (−2" in first
