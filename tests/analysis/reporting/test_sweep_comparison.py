"""`compare`: what moved between two sweeps, over what both have, and what it refuses."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest
from made_up_table import BASE, rows_of, trials_of
from scipy import stats
from synthetic_sweep import diverge, make_sweep, write_folder

from analysis.errors import AnalysisError
from analysis.reporting.sweep_comparison import write_comparison_files
from analysis.schema import Results
from analysis.sources.load_results import load_results
from analysis.statistics.comparison import build_comparisons
from analysis.statistics.sweep_changes import compute_changes


@pytest.fixture(scope="module")
def trials(tmp_path_factory: pytest.TempPathFactory) -> Results:
    sweep = make_sweep()
    diverge(list(sweep["records"].values())[3], 2)
    return load_results(write_folder(sweep, tmp_path_factory.mktemp("runs")))


def test_compare_finds_what_moved_and_only_that(trials: Results, tmp_path: Path) -> None:
    moved = make_sweep()
    for record in moved["records"].values():
        if record["spec"]["norm"]["name"] == "assocnorm":
            record["epochs"][-1]["test_error"] += 1.0 + record["spec"]["seed"] / 100
    after = load_results(write_folder(moved, tmp_path / "runs"))
    (found,) = compute_changes(build_comparisons(trials), build_comparisons(after))
    level = {change.norm: change for change in found.changes if change.batch_size is None}
    assert level["assocnorm"].is_significant
    assert level["assocnorm"].difference.value == pytest.approx(1.01)
    assert not level["groupnorm(num_groups=8)"].is_significant
    assert found.mismatch == ""
    page, lines = write_comparison_files(trials, after, tmp_path / "out")
    assert page.is_file()
    assert any(line.startswith("assocnorm: AUEC") and ": moved (+1.01" in line for line in lines)


def test_compare_takes_auec_over_the_batch_sizes_that_both_have(tmp_path: Path) -> None:
    small = make_sweep(batch_sizes=(64, 16, 4))
    large = make_sweep()
    for trial_id, record in large["records"].items():
        if trial_id in small["records"]:
            record["epochs"] = small["records"][trial_id]["epochs"]
    before, after = (
        load_results(write_folder(sweep, tmp_path / name))
        for name, sweep in (("small", small), ("large", large))
    )
    (found,) = compute_changes(build_comparisons(before), build_comparisons(after))
    assert found.shared_sizes == (64, 16, 4)
    assert all(change.difference.value == 0 for change in found.changes)
    _, lines = write_comparison_files(before, after, tmp_path / "out")
    assert lines[0] == "AUEC is over the batch sizes that both have: 64, 16 and 4."


def test_compare_says_where_the_two_are_of_different_data(trials: Results, tmp_path: Path) -> None:
    small = load_results(write_folder(make_sweep(num_train=500), tmp_path / "runs"))
    page, lines = write_comparison_files(trials, small, tmp_path / "out")
    assert lines[0].startswith("Not the same thing was trained: before is digits, allcnn, after is")
    assert "PART OF THE DATA: 500 training images" in page.with_suffix(".md").read_text()


def test_a_chosen_level_that_is_a_factor_in_one_of_the_two_makes_no_difference(
    trials: Results, tmp_path: Path
) -> None:
    crossed = replace(
        trials,
        trials=trials.trials.assign(variant="train.optimizer.lr=0.1"),
        expected=trials.expected.assign(variant="train.optimizer.lr=0.1"),
    )
    chosen = {"train.optimizer.lr": "0.1"}
    _, lines = write_comparison_files(trials, crossed, tmp_path, chosen)
    assert not any("Not the same thing" in line for line in lines)
    _, lines = write_comparison_files(trials, crossed, tmp_path)
    assert lines[0].startswith("Not the same thing was trained")


def test_compare_refuses_what_has_nothing_in_common(trials: Results, tmp_path: Path) -> None:
    other = load_results(write_folder(make_sweep(norms=("layernorm",)), tmp_path))
    with pytest.raises(AnalysisError, match="no norm at a common batch size"):
        compute_changes(build_comparisons(trials), build_comparisons(other))


def test_before_and_after_are_over_the_seeds_that_their_difference_is_over(tmp_path: Path) -> None:
    """The seeds that only `before` has are the hard ones: the unpaired means would fall."""
    base, more = {seed: 12 - 1.5 * seed for seed in range(6)}, 0.5
    was = [f"a,{b},{s},{e},completed,90,d,n,9" for b in (64, 4) for s, e in base.items()]
    now = [
        [f"a,{b},{s},{base[s] + more + s / 100},completed,90,d,n,9" for s in (2, 3, 4, 5)]
        for b in (64, 4)
    ]
    before, after = trials_of(tmp_path, was), trials_of(tmp_path, [*now[0], *now[1]])
    (found,) = compute_changes(build_comparisons(before), build_comparisons(after))
    for change in found.changes:
        assert change.difference.num == 4
        assert change.after - change.before == pytest.approx(change.difference.value)
        assert change.before == pytest.approx(12 - 1.5 * 3.5)
    unpaired = [
        f"a,{b},{s},{base[s % 6] + s / 100},completed,90,d,n,9"
        for b in (64, 4)
        for s in (4, 5, 6, 7)
    ]
    _, lines = write_comparison_files(before, trials_of(tmp_path, unpaired), tmp_path / "out")
    assert "% after (over each one's own seeds)" in lines[0]


def test_sweeps_whose_streams_depend_on_different_things_are_not_paired(tmp_path: Path) -> None:
    rows = rows_of({"a": {4: 6.0, 2: 7.0}}, seeds=4)
    pair = []
    for seeding in ("per_seed", "per_cell"):
        (tmp_path / seeding).mkdir()
        seeded = [f"{row},{seeding}" for row in rows]
        pair.append(build_comparisons(trials_of(tmp_path / seeding, seeded, f"{BASE},seeding")))
    (found,) = compute_changes(*pair)
    assert not any(change.is_paired for change in found.changes)
    assert "streams by seed and batch size" in found.mismatch


def test_compare_tells_which_changes_rest_on_diverged_trials(tmp_path: Path) -> None:
    before = trials_of(tmp_path, rows_of({"a": {64: 6, 4: 8}}, seeds=4))
    rows = rows_of({"a": {64: 6, 4: 8}}, seeds=4)
    lost = [f"a,4,{seed},,diverged,90,digits,cnn,360" for seed in (2, 3)]
    page, lines = write_comparison_files(
        before, trials_of(tmp_path, [*rows[:-2], *lost]), tmp_path / "out"
    )
    told = "count at the error of guessing (†): a at 4 (0 before, 2 after)."
    assert any(told in line for line in lines)
    assert any(line.startswith("a: AUEC† ") for line in lines)
    assert "† 0 → 2 diverged" in page.with_suffix(".md").read_text()
    table = pd.read_csv(tmp_path / "out" / "tables" / "changes.csv")
    assert table["diverged_after"].tolist() == [2, 0, 2]
    assert table["diverged_before"].tolist() == [0, 0, 0]


def test_an_interval_without_0_that_holm_overrules_is_explained(tmp_path: Path) -> None:
    """Three norms; the change of `b` has p 0.02 by itself, and three times that after Holm."""
    shifts = {"a": (0.5, -0.4, 0.1), "b": (0.22, 0.3, 0.38), "c": (-0.3, 0.4, 0.2)}
    p = stats.ttest_1samp(shifts["b"], 0).pvalue
    assert p < 0.05 < 3 * p
    sides = [
        trials_of(
            tmp_path,
            [
                f"{norm},4,{seed},{6 + seed / 10 + moved * shift},completed,90,d,n,9"
                for norm, by_seed in shifts.items()
                for seed, shift in enumerate(by_seed)
            ],
        )
        for moved in (0, 1)
    ]
    _, lines = write_comparison_files(*sides, tmp_path / "out")
    told = f"by itself, but p = {3 * p:.3f} after Holm's adjustment for 3 comparisons"
    assert [told in line for line in lines[:3]] == [False, True, False]


def test_a_seed_that_only_one_has_is_said_to_be_left_out(tmp_path: Path) -> None:
    cells = [(norm, size, seed) for norm in "ab" for size in (4, 2) for seed in range(5)]
    sides = []
    for shift in (0, 1):
        rows = [
            f"{norm},{size},{seed},{6 + shift + (seed * 7 + shift * 3 * seed) % 5 / 9 + size / 5}"
            for norm, size, seed in cells
            if (shift, norm, seed) not in ((0, "a", 4), (1, "b", 0)) or (norm, size) == ("b", 4)
        ]
        sides.append(trials_of(tmp_path, rows, "norm,batch_size,seed,test_error"))
    _, lines = write_comparison_files(*sides, tmp_path / "out")
    assert all("% after (over the 4 seeds in common): " in line for line in lines[:2])
    assert lines[-1] == (
        "Not compared, since only one of the two has them: before: b with seed 0 at batch size 2; "
        "after: a with seed 4 at batch sizes 4, 2."
    )
    assert "(over the 4 seeds in common)" in (tmp_path / "out" / "report.md").read_text()
    _, lines = write_comparison_files(sides[0], sides[0], tmp_path / "out")
    assert "in common" not in " ".join(lines)
