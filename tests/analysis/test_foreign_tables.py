"""Somebody else's table: its states, its units, its further columns, and what pairs its rows."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

from analysis.cli import app
from analysis.errors import InputError
from analysis.findings import findings_of
from analysis.options import Options
from analysis.reporting.coverage import coverage, missing_trials
from analysis.reporting.page import page
from analysis.schema import Trials
from analysis.sources.load import load

RUNNER = CliRunner()


def written(tmp_path: Path, header: str, rows: list[str]) -> Path:
    path = tmp_path / "export.csv"
    path.write_text("\n".join([header, *rows]))
    return path


def loaded(tmp_path: Path, header: str, rows: list[str]) -> Trials:
    return load(written(tmp_path, header, rows))


@pytest.mark.parametrize("name", ["State", "state", "Status"])
def test_a_crashed_row_of_an_export_does_not_count_as_finished(tmp_path: Path, name: str) -> None:
    rows = [
        f"{norm},{size},{s},{6 + s / 10},finished"
        for norm in "ab"
        for size in (4, 2)
        for s in range(3)
    ]
    rows[-1] = "b,2,2,71.5,crashed"
    rows[0] = "a,4,0,88.0,running"
    path = written(tmp_path, f"norm,batch_size,seed,test_error,{name}", rows)
    trials = load(path)
    assert trials.trials["outcome"].value_counts().to_dict() == {
        "completed": 10,
        "failed": 1,
        "running": 1,
    }
    comparison = findings_of(trials, Options())[0].comparison
    assert comparison.cells["b", 2].error.value == pytest.approx((6 + 6.1) / 2)
    assert missing_trials(comparison) == [
        "a at batch size 4: seed 0 running",
        "b at batch size 2: seed 2 failed",
    ]
    done = RUNNER.invoke(app, ["report", str(path), "--out", str(tmp_path / "out")])
    assert f"warning: Column `{name}` is read as the outcome: 10 completed" in done.output
    assert "2 rows without a result are not compared" in done.output
    again = RUNNER.invoke(app, ["report", str(path), "--out", str(tmp_path / "out")])
    assert again.output == done.output
    text = (tmp_path / "out" / "report.html").read_text()
    assert "is read as the outcome" in text


def test_a_state_that_says_nothing_known_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"column `State` must say how each trial ended.*'texas'"):
        loaded(tmp_path, "norm,batch_size,seed,test_error,State", ["a,4,0,6,texas"])


def mixed(chance: str = "") -> list[str]:
    rows = [f"a,{size},{s},{7 + s / 10}{chance}" for size in (4, 2) for s in range(3)]
    return rows + [f"b,{size},{s},{0.07 + s / 1000}{chance}" for size in (4, 2) for s in range(3)]


def test_fractions_in_one_norm_beside_percent_are_suspected(tmp_path: Path) -> None:
    header = "norm,batch_size,seed,test_error"
    with pytest.raises(InputError, match=r"every `test_error` of b is at most 1.*multiply b's"):
        loaded(tmp_path, header, mixed())
    trials = loaded(tmp_path, f"{header},chance_error", mixed(",90"))
    assert "b's may be fractions beside percent" in trials.warnings[0]


def test_small_errors_beside_small_ones_are_not_suspected(tmp_path: Path) -> None:
    rows = [f"{n},4,{s},{e + s / 100}" for n, e in (("a", 1.2), ("b", 0.6)) for s in range(3)]
    assert loaded(tmp_path, "norm,batch_size,seed,test_error", rows).warnings == ()


def test_fractions_in_one_variant_are_suspected(tmp_path: Path) -> None:
    rows = [f"a,4,{s},{v},{n}" for n, v in (("x", 7.2), ("y", 0.071)) for s in range(3)]
    with pytest.raises(InputError, match=r"a \(y\) is at most 1"):
        loaded(tmp_path, "norm,batch_size,seed,test_error,variant", rows)


def test_rows_that_a_further_column_tells_apart_are_not_to_be_deleted(tmp_path: Path) -> None:
    rows = [
        f"{n},4,{s},{6 + s / 9 + lr},{lr},{n}{s}{lr}"
        for n in "ab"
        for s in range(3)
        for lr in (0.1, 0.01)
    ]
    path = written(tmp_path, "norm,batch_size,seed,test_error,lr,run", rows)
    with pytest.raises(InputError) as refused:
        load(path)
    assert "they differ in lr; choose with --where lr=0.1 (or 0.01)" in str(refused.value)
    assert "call the column lr `variant`" in str(refused.value)
    assert "keep one" not in str(refused.value)
    trials = load(path, {"lr": "0.01"})
    assert len(trials.trials) == 6
    assert "Columns not read: run." in trials.notes


def test_pairing_is_not_asserted_of_somebody_elses_table(tmp_path: Path) -> None:
    rows = [f"{n},4,{s},{6 + s / 9}" for n in "ab" for s in range(3)]
    trials = loaded(tmp_path, "norm,batch_size,seed,test_error", rows)
    found = findings_of(trials, Options())
    methods = dict(page(trials, found).methods)
    assert "assumed" in methods["Gap"]
    assert "as a seed gives every norm the same" not in methods["Gap"]
    assert any("The table does not say so" in line for line in coverage(found[0].comparison))


def test_rows_with_the_same_trial_id_are_rows_of_their_own(tmp_path: Path) -> None:
    rows = [f"{n},4,{s},{6 + s / 9},run,0.1" for n in "ab" for s in range(3)]
    trials = loaded(tmp_path, "norm,batch_size,seed,test_error,trial_id,lr", rows)
    assert len(set(trials.trials["trial_id"])) == 6
    assert len(findings_of(trials, Options())[0].trial_settings) == 6


@pytest.mark.parametrize("seed", ["9223372036854775808", "1e+20", "100000000000000000000"])
def test_a_seed_beyond_the_integers_of_a_table_is_one_line(tmp_path: Path, seed: str) -> None:
    path = written(tmp_path, "norm,batch_size,seed,test_error", [f"batchnorm,4,{seed},7.5"])
    done = RUNNER.invoke(app, ["report", str(path), "--out", str(tmp_path / "report")])
    assert done.exit_code == 2
    assert done.output.count("\n") == 1
    assert f"whole numbers from {-(2**63)} to {2**63 - 1}, but row 1 has {seed}" in done.output


def test_the_largest_seed_of_a_table_is_read_exactly(tmp_path: Path) -> None:
    rows = [f"{norm},{size},{2**63 - 1},7.5" for norm in "ab" for size in (2, 4)]
    trials = loaded(tmp_path, "norm,batch_size,seed,test_error", rows).trials
    assert set(trials["seed"]) == {2**63 - 1}
