"""What is compared in a table that nobody asked for: each data set on what it has."""

from __future__ import annotations

from pathlib import Path

import pytest
from made_up_table import only, trials_of
from scipy import stats

from analysis import load_results
from analysis.reporting.summary import write_answer
from analysis.reporting.tables import build_error_table
from analysis.reporting.trial_coverage import describe_coverage, list_missing_trials
from analysis.statistics.comparison import build_comparisons

SEEDS = 4


def table(levels: dict[tuple[str, int], float], more: str = "", first: int = 0) -> list[str]:
    """A row per cell and seed; errors differ a little by seed, as in no other norm."""
    return [
        f"{norm},{size},{first + seed},{level + seed**2 * (ord(norm[0]) % 5 + 1) % 7 / 50}{more}"
        for (norm, size), level in levels.items()
        for seed in range(SEEDS)
    ]


@pytest.mark.parametrize("stratum", ["dataset", "edition", "model"])
def test_each_stratum_is_judged_on_its_own_grid(stratum: str, tmp_path: Path) -> None:
    rows = table({("a", 64): 6, ("b", 64): 7, ("a", 4): 6, ("b", 4): 7}, ",one")
    rows += table({("a", 32): 6, ("b", 32): 7, ("a", 2): 6, ("b", 2): 7}, ",two")
    found = build_comparisons(
        trials_of(tmp_path, rows, f"norm,batch_size,seed,test_error,{stratum}")
    )
    assert [item.common_batch_sizes for item in found] == [(64, 4), (32, 2)]
    for item in found:
        assert item.declared_contrasts[0].difference.paired.num == SEEDS
        assert list_missing_trials(item) == []
        assert describe_coverage(item)[0].startswith("16 of 16 rows have a result")


def test_what_is_absent_has_no_row_and_was_not_asked_for(tmp_path: Path) -> None:
    rows = table({("a", 4): 6, ("b", 4): 7, ("a", 2): 6})
    found = only(trials_of(tmp_path, rows, "norm,batch_size,seed,test_error"))
    assert list_missing_trials(found.comparison) == ["b at batch size 2: seeds 0 to 3 no row"]
    assert "0 to 4 seeds each" in describe_coverage(found.comparison)[0]
    shown = build_error_table(found.comparison)
    assert [cell.note for _, cells in shown.rows for cell in cells] == ["n = 4"] * 3 + ["n = 0"]
    assert "asked" not in " ".join(shown.notes)


def test_a_reference_that_lacks_a_batch_size_is_named(tmp_path: Path) -> None:
    cells = {("a", 4): 6.0, ("b", 4): 7.0, ("b", 2): 7.0, ("c", 4): 8.0, ("c", 2): 9.0}
    found = only(trials_of(tmp_path, table(cells), "norm,batch_size,seed,test_error"))
    assert (
        "the reference a has no seed with a result at every batch size (none at 2); "
        "try --reference b."
    ) in write_answer(found)[0]


def test_no_other_reference_is_suggested_where_none_could_be_compared(tmp_path: Path) -> None:
    cells = {("a", 4): 6.0, ("b", 4): 7.0, ("b", 2): 7.0}
    found = only(trials_of(tmp_path, table(cells), "norm,batch_size,seed,test_error"))
    assert "the reference a has no seed with a result" in write_answer(found)[0]
    assert "--reference" not in write_answer(found)[0]


def test_norms_with_seeds_of_their_own_are_compared_without_pairing(tmp_path: Path) -> None:
    rows = table({("a", 4): 6}) + table({("b", 4): 7}, first=10)
    found = only(trials_of(tmp_path, rows, "norm,batch_size,seed,test_error"))
    assert list_missing_trials(found.comparison) == []
    text = " ".join(write_answer(found))
    assert "a and b have no seed in common, so nothing can be paired" in text
    one, other = (found.comparison.auec[norm] for norm in "ba")
    expected = stats.ttest_ind(one, other, equal_var=False).confidence_interval()
    assert f"95 % interval {expected.low:.3f} to {expected.high:.3f}" in text


def test_seeds_that_only_other_norms_have_are_missing(tmp_path: Path) -> None:
    rows = table({("a", 4): 6, ("a", 2): 6}) + table({("b", 4): 7, ("b", 2): 7}, first=2)
    found = only(trials_of(tmp_path, rows, "norm,batch_size,seed,test_error"))
    assert list_missing_trials(found.comparison) == [
        "a at every batch size: seeds 4 and 5 no row",
        "b at every batch size: seeds 0 and 1 no row",
    ]


def test_norms_of_different_specifications_are_told_at_the_top(tmp_path: Path) -> None:
    rows = table({("a", 4): 6}, ",1") + table({("b", 4): 7}, ",2")
    header = "norm,batch_size,seed,test_error,spec_version"
    lines = describe_coverage(only(trials_of(tmp_path, rows, header)).comparison)
    assert "is 1 for a and 2 for b." in lines[-1]
    alike = only(trials_of(tmp_path, [f"{row[:-1]}1" for row in rows], header)).comparison
    assert not any("spec" in line for line in describe_coverage(alike))


def test_only_norms_that_share_no_seed_with_the_reference_are_said_to(tmp_path: Path) -> None:
    rows = table({("a", 4): 6}) + table({("b", 4): 7, ("c", 4): 8}, first=10)
    first = write_answer(only(trials_of(tmp_path, rows, "norm,batch_size,seed,test_error")))[0]
    assert "a has no seed in common with b and c, so nothing can be paired with it." in first


def test_a_norm_may_have_any_name(tmp_path: Path) -> None:
    names = ["None", "NA", "null", "nan", "N/A", "true"]
    path = tmp_path / "names.csv"
    rows = "".join(f"{name},4,0,9.5,\n" for name in names)
    path.write_text("norm,batch_size,seed,test_error,chance_error\n" + rows)
    trials = load_results(path)
    assert sorted(trials.trials["norm"]) == sorted(names)
    assert trials.trials["chance_error"].isna().all()
    path.write_text("norm,batch_size,seed,test_error\n03,4,0,9.5\n3,4,0,8.5\n")
    assert load_results(path).trials["norm"].tolist() == ["03", "3"]


def test_spaces_around_a_name_do_not_make_another_norm(tmp_path: Path) -> None:
    path = tmp_path / "spaces.csv"
    path.write_text("norm ,batch_size,seed,test_error\na,4,0,9.5\n a ,4,1,8.5\na\t,4,2,8\n")
    trials = load_results(path)
    assert trials.trials["norm"].tolist() == ["a", "a", "a"]
    assert trials.notes == ("Spaces at the ends of `norm` are not read: 2 rows such as 'a '.",)
