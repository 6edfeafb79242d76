"""The answer's words: alone, alike, two at a time, and where Holm overrules an interval."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
from made_up_table import BASE, only, rows_of, trials_of
from scipy import stats

from analysis.findings import compute_findings
from analysis.interface import write_report
from analysis.options import ReportOptions
from analysis.reporting.summary import summarize_findings, summarize_results, write_answer
from analysis.reporting.tables import build_error_table
from analysis.statistics.comparison import build_comparisons
from analysis.statistics.inference.intervals import ALPHA


def test_no_interval_leaves_out_0_beside_an_adjusted_p_above_5_percent(tmp_path: Path) -> None:
    """Three seeds, three comparisons: p 0.02 by itself, three times that after Holm."""
    table = {"a": (6.0, 6.1, 6.2), "b": (6.22, 6.4, 6.58), "c": (6.4, 5.9, 6.3), "d": (6.0, 6.4, 6)}
    rows = [
        f"{norm},4,{seed},{error},completed,90,digits,cnn,360"
        for norm, errors in table.items()
        for seed, error in enumerate(errors)
    ]
    found = only(trials_of(tmp_path, rows))
    p = stats.ttest_rel(table["b"], table["a"]).pvalue
    assert p < ALPHA < 3 * p
    first = write_answer(found)[0]
    assert "b and a are not distinguishable with 3 seeds" in first
    difference = np.subtract(table["b"], table["a"])
    half = stats.t.ppf(1 - ALPHA / 3 / 2, 2) * difference.std(ddof=1) / np.sqrt(3)
    low, high = (f"{difference.mean() + side * half:.2f}".replace("-", "−") for side in (-1, 1))
    assert f"simultaneous 95 % interval {low} to {high}, Holm-adjusted p = {3 * p:.3f}" in first


def test_of_two_norms_the_other_is_named(tmp_path: Path) -> None:
    apart = only(trials_of(tmp_path, rows_of({"a": {4: 6}, "b": {4: 9}})))
    text = " ".join(write_answer(apart))
    assert "a has the lowest mean error, distinguishable from b." in text
    close = only(trials_of(tmp_path, rows_of({"a": {4: 6}, "b": {4: 6.02}}, sd=0.5)))
    text += " ".join(write_answer(close))
    assert re.search(r"these seeds do not distinguish it from [ab]\.", text)
    assert "other norm" not in text


def test_a_norm_alone_is_compared_with_itself_over_batch_sizes(tmp_path: Path) -> None:
    found = only(trials_of(tmp_path, rows_of({"a": {128: 6, 10: 6, 5: 8}}, seeds=5)))
    text = write_answer(found)
    errors = {size: found.comparison.get_errors(size)["a"] for size in (128, 10, 5)}
    assert text[0] == f"a is alone: its mean error at batch size 128 is {errors[128].mean():.2f} %."
    rise = (errors[5] - errors[128]).mean()
    begin = f"At batch size 5 it is {rise:.3f} points higher (simultaneous 95 % interval "
    assert text[2].startswith(begin)
    # Two rises are adjusted together, and this one has the smaller p.
    low, high = stats.ttest_rel(errors[5], errors[128]).confidence_interval(1 - ALPHA / 2)
    assert 0.01 < (high - low) / 2 < 0.0995  # two significant digits: three after the point
    assert f"{low:.3f} to {high:.3f}" in text[2]
    single = write_answer(only(trials_of(tmp_path, rows_of({"a": {4: 6}}))))
    assert single[0].endswith("%, and there is nothing to compare it with.")


DIGESTS = {"a": "{b}{s}", "b": "x{s}", "c": "{b}{s}", "d": "{b}{s}"}


def test_norms_of_equal_bits_are_one_network_and_compared_once(tmp_path: Path) -> None:
    levels = {"a": {64: 6, 2: 6}, "b": {64: 8, 2: 9}, "c": {64: 6, 2: 6}, "d": {64: 6, 2: 6}}
    made_up = [row.split(",") for row in rows_of(levels)]
    error = {tuple(row[:3]): row[3] for row in made_up}
    for row in made_up:
        if row[0] == "c":  # one network has one error
            row[3] = error["a", row[1], row[2]]
    rows = [
        ",".join([*row, DIGESTS[norm].format(b=size, s=seed)])
        + ("!" if (norm, seed) == ("d", "2") else "")
        for row in made_up
        for norm, size, seed in [row[:3]]
    ]
    found = only(trials_of(tmp_path, rows, BASE + ",weights_digest"))
    assert found.comparison.identical_networks == (("a", "c"),)
    assert [gap.norm for gap in found.comparison.declared_contrasts] == ["b", "b", "d", "d"]
    assert {gap.norm for gap in found.comparison.cell_contrasts} == {"b", "d"}
    best = found.comparison.get_best_norm(64)
    assert best is not None
    assert "c" not in (best.norm, *best.not_separated)
    text = write_answer(found)
    assert text[0].startswith("a and c are the same network here: seed by seed")
    assert not any("c's error" in line or "c and a are not" in line for line in text)


def test_each_data_set_has_every_norm_in_the_headline(tmp_path: Path) -> None:
    rows = rows_of({"a": {4: 6}, "b": {4: 7}, "c": {4: 8}})
    rows += [row.replace("digits", "DIGITS") for row in rows]
    trials = trials_of(tmp_path, rows)
    lines = summarize_results(trials)
    assert [line.partition(":")[0] for line in lines] == ["DIGITS, cnn", "digits, cnn"]
    assert all(
        re.search(r"of c \(\+.*\) and b \(\+.*\) are higher than a's", line) for line in lines
    )
    out = write_report(trials, tmp_path / "out").page.parent
    assert (out / "figures" / "forest-digits.svg").is_file()
    assert (out / "figures" / "forest-digits-2.svg").is_file()


def test_of_many_diverged_cells_a_few_are_named(tmp_path: Path) -> None:
    rows = [f"n{i},4,{s},,diverged,90,digits,cnn,360" for i in range(9) for s in range(3)]
    (line,) = [t for t in write_answer(only(trials_of(tmp_path, rows))) if t.startswith("Diverged")]
    assert "n5 at batch size 4 (3 of 3) and 3 more. A diverged trial" in line


def test_a_threshold_without_curves_is_said_to_be_in_vain(tmp_path: Path) -> None:
    trials = trials_of(tmp_path, rows_of({"a": {4: 6}, "b": {4: 7}}))
    told = "No time to 6.25 % test error is shown: the input holds the last epoch's errors alone"
    assert summarize_findings(compute_findings(trials, ReportOptions(threshold=6.25)))[
        -1
    ].startswith(told)
    assert (
        told in (write_report(trials, tmp_path, threshold=6.25).page.with_suffix(".md")).read_text()
    )
    assert "No time to" not in "".join(summarize_results(trials))


def test_further_factors_are_in_the_order_of_their_levels(tmp_path: Path) -> None:
    name = "train.optimizer_batch_size"
    rows = [
        row + f",{name}={level}"
        for level in ("64", "null", "128")
        for row in rows_of({"a": {4: 6}, "b": {4: 7}})
    ]
    found = build_comparisons(trials_of(tmp_path, rows, BASE + ",variant"))
    assert [item.label.rpartition("optimizer steps after ")[2] for item in found] == [
        "each batch",
        "64 examples",
        "128 examples",
    ]


def test_no_norm_is_claimed_to_be_lowest_against_what_the_shared_seeds_say(tmp_path: Path) -> None:
    """Seeds 2 to 5 are easier than 0 and 1: b has only those, and is worse on every one."""
    rows = [
        f"{norm},{size},{seed},{12 - 1.5 * seed + gap * (1 + seed / 100)},completed,90,digits,cnn,9"
        for norm, seeds, gap in (("a", range(6), 0.0), ("b", range(2, 6), 0.5))
        for size in (64, 16, 4)
        for seed in seeds
    ]
    found = only(trials_of(tmp_path, rows))
    best = found.comparison.get_best_norm(64)
    assert best is not None
    assert (best.norm, best.sign_reversed, best.not_separated) == ("b", ("a",), ("a",))
    text = write_answer(found)
    assert text[0].startswith("Averaged over batch sizes 64 to 4 (AUEC), b's error is 0.5")
    assert not any("distinguishable from a" in line for line in text)
    assert [line for line in text if "has the lowest" in line] == [
        line for line in text if "the error of b is higher than that of a" in line
    ]
    assert not any(
        cell.best for _, cells in build_error_table(found.comparison).rows for cell in cells
    )


def test_norms_that_are_alike_share_the_praise_and_the_diverged_get_none(tmp_path: Path) -> None:
    rows = [row.replace("b,", "a,", 1) for row in rows_of({"b": {64: 6, 4: 8}})]
    rows += [row.replace("a,", "b,", 1) for row in rows] + rows_of({"c": {64: 9, 4: 9}}, sd=0.5)
    rows += [f"d,{size},{s},,diverged,90,digits,cnn,360" for size in (64, 4) for s in range(3)]
    text = " ".join(write_answer(only(trials_of(tmp_path, rows))))
    assert "a and b share the lowest average error" in text
    assert "the error of c rises least" in text
    assert "survivors" not in text
    lost = [row for row in rows if row.startswith("d")]
    lost += [row.replace("d,", "e,", 1) for row in lost]
    assert "least" not in " ".join(write_answer(only(trials_of(tmp_path, lost))))
