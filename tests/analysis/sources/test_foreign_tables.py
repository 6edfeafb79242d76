"""Somebody else's table: its states, its units, its further columns, and what pairs its rows."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest
from typer.testing import CliRunner

from analysis.cli import app
from analysis.errors import AnalysisError
from analysis.findings import compute_findings
from analysis.options import ReportOptions
from analysis.reporting.page import build_page
from analysis.reporting.power_sentences import describe_power
from analysis.reporting.trial_coverage import describe_coverage, list_missing_trials
from analysis.schema import Results
from analysis.sources.load_results import load_results

RUNNER = CliRunner()


def written(tmp_path: Path, header: str, rows: list[str]) -> Path:
    path = tmp_path / "export.csv"
    path.write_text("\n".join([header, *rows]))
    return path


def loaded(tmp_path: Path, header: str, rows: list[str]) -> Results:
    return load_results(written(tmp_path, header, rows))


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
    trials = load_results(path)
    assert trials.trials["outcome"].value_counts().to_dict() == {
        "completed": 10,
        "failed": 1,
        "running": 1,
    }
    comparison = compute_findings(trials, ReportOptions())[0].comparison
    assert comparison.cells["b", 2].error.value == pytest.approx((6 + 6.1) / 2)
    assert list_missing_trials(comparison) == [
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
    with pytest.raises(
        AnalysisError, match=r"column `State` must say how each trial ended.*'texas'"
    ):
        loaded(tmp_path, "norm,batch_size,seed,test_error,State", ["a,4,0,6,texas"])


def mixed(chance: str = "") -> list[str]:
    rows = [f"a,{size},{s},{7 + s / 10}{chance}" for size in (4, 2) for s in range(3)]
    return rows + [f"b,{size},{s},{0.07 + s / 1000}{chance}" for size in (4, 2) for s in range(3)]


def test_fractions_in_one_norm_beside_percent_are_suspected(tmp_path: Path) -> None:
    header = "norm,batch_size,seed,test_error"
    with pytest.raises(AnalysisError, match=r"every `test_error` of b is at most 1.*multiply b's"):
        loaded(tmp_path, header, mixed())
    trials = loaded(tmp_path, f"{header},chance_error", mixed(",90"))
    assert "b's may be fractions beside percent" in trials.warnings[0]


def test_small_errors_beside_small_ones_are_not_suspected(tmp_path: Path) -> None:
    rows = [f"{n},4,{s},{e + s / 100}" for n, e in (("a", 1.2), ("b", 0.6)) for s in range(3)]
    assert loaded(tmp_path, "norm,batch_size,seed,test_error", rows).warnings == ()


def test_fractions_in_one_variant_are_suspected(tmp_path: Path) -> None:
    rows = [f"a,4,{s},{v},{n}" for n, v in (("x", 7.2), ("y", 0.071)) for s in range(3)]
    with pytest.raises(AnalysisError, match=r"a \(y\) is at most 1"):
        loaded(tmp_path, "norm,batch_size,seed,test_error,variant", rows)


def test_rows_that_a_further_column_tells_apart_are_not_to_be_deleted(tmp_path: Path) -> None:
    rows = [
        f"{n},4,{s},{6 + s / 9 + lr},{lr},{n}{s}{lr}"
        for n in "ab"
        for s in range(3)
        for lr in (0.1, 0.01)
    ]
    path = written(tmp_path, "norm,batch_size,seed,test_error,lr,run", rows)
    with pytest.raises(AnalysisError) as refused:
        load_results(path)
    assert "they differ in lr; choose with --where lr=0.1 (or 0.01)" in str(refused.value)
    assert "call the column lr `variant`" in str(refused.value)
    assert "keep one" not in str(refused.value)
    trials = load_results(path, {"lr": "0.01"})
    assert len(trials.trials) == 6
    assert "Columns not read: run." in trials.notes


def test_pairing_is_not_asserted_of_somebody_elses_table(tmp_path: Path) -> None:
    rows = [f"{n},4,{s},{6 + s / 9}" for n in "ab" for s in range(3)]
    trials = loaded(tmp_path, "norm,batch_size,seed,test_error", rows)
    found = compute_findings(trials, ReportOptions())
    methods = dict(build_page(trials, found).methods)
    assert "assumed" in methods["Gap"]
    assert "as a seed gives every norm the same" not in methods["Gap"]
    assert any(
        "The table does not say so" in line for line in describe_coverage(found[0].comparison)
    )


def test_rows_with_the_same_trial_id_are_rows_of_their_own(tmp_path: Path) -> None:
    rows = [f"{n},4,{s},{6 + s / 9},run,0.1" for n in "ab" for s in range(3)]
    trials = loaded(tmp_path, "norm,batch_size,seed,test_error,trial_id,lr", rows)
    assert len(set(trials.trials["trial_id"])) == 6
    assert len(compute_findings(trials, ReportOptions())[0].trial_settings) == 6


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


HEADER = "norm,batch_size,seed,test_error"
LEVELS = {"bn": {64: 5.0, 16: 6.5, 4: 11.5, 2: 15.0}, "gn": {64: 6.0, 16: 6.2, 4: 6.1, 2: 6.5}}


def percent_but(fractions: set[tuple[str, int, int]], chance: str = "") -> list[str]:
    """Rows in percent, but for the cells (norm, batch size, seed) whose errors are fractions."""
    rows = []
    for norm, levels in LEVELS.items():
        for size, level in levels.items():
            for seed in range(4):
                error = (level + seed / 10) / (100 if (norm, size, seed) in fractions else 1)
                rows.append(f"{norm},{size},{seed},{error:g}{chance}")
    return rows


EVERY = [(norm, size, seed) for norm in LEVELS for size in (64, 16, 4, 2) for seed in range(4)]
SOME = {
    "gn with seed 3": {key for key in EVERY if key[0] == "gn" and key[2] == 3},
    "gn at batch size 16": {key for key in EVERY if key[:2] == ("gn", 16)},
    "gn at batch size 64": {key for key in EVERY if key[:2] == ("gn", 64)},
    "bn at batch sizes 4 and 2": {key for key in EVERY if key[0] == "bn" and key[1] <= 4},
    "batch size 2": {key for key in EVERY if key[1] == 2},
    "batch size 16": {key for key in EVERY if key[1] == 16},
}


@pytest.mark.parametrize("name", SOME)
def test_fractions_in_a_seed_or_a_batch_size_are_suspected(tmp_path: Path, name: str) -> None:
    what = f"every `test_error` of {name} is at most 1"
    with pytest.raises(
        AnalysisError, match=rf"export.csv: {what}.*multiply those of {name} by 100"
    ):
        loaded(tmp_path, HEADER, percent_but(SOME[name]))
    trials = loaded(tmp_path, f"{HEADER},chance_error", percent_but(SOME[name], ",90"))
    assert len(trials.warnings) == 1
    assert what in trials.warnings[0]


def test_a_largest_batch_size_far_below_the_others_is_warned_of(tmp_path: Path) -> None:
    (line,) = loaded(tmp_path, HEADER, percent_but({k for k in EVERY if k[1] == 64})).warnings
    assert "of batch size 64 is at most 1" in line


def test_a_norm_that_breaks_down_with_small_batches_is_not_suspected(tmp_path: Path) -> None:
    """On an easy data set the errors of the largest batch size are below 1 %, and norms agree."""
    levels = {"bn": {64: 0.5, 8: 0.8, 2: 60}, "gn": {64: 0.5, 8: 0.5, 2: 0.6}}
    rows = [
        f"{norm},{size},{seed},{level + seed / 100}"
        for norm, errors in levels.items()
        for size, level in errors.items()
        for seed in range(3)
    ]
    assert loaded(tmp_path, HEADER, rows).warnings == ()


def test_a_seed_that_ran_at_large_batch_sizes_alone_is_not_suspected(tmp_path: Path) -> None:
    rows = [
        f"{norm},{size},{seed},{level + seed / 100}"
        for norm in "ab"
        for size, level in ((64, 0.5), (8, 4), (2, 60))
        for seed in range(4)
        if size == 64 or seed < 3
    ]
    assert not any("seed" in line for line in loaded(tmp_path, HEADER, rows).warnings)


def test_a_chance_error_that_is_a_fraction_is_refused(tmp_path: Path) -> None:
    said = r"export.csv: `chance_error` is at most 1 beside errors in percent \(0.9 in row 1\)"
    with pytest.raises(AnalysisError, match=f"{said}; write 90$"):
        loaded(tmp_path, f"{HEADER},chance_error", percent_but(set(), ",0.9"))
    rows = [*percent_but(set(), ",90")[:-1], "gn,2,3,6.5,0"]
    with pytest.raises(AnalysisError, match=r"\(0 in row 32\); write it in percent"):
        loaded(tmp_path, f"{HEADER},chance_error", rows)


def test_fractions_beside_a_chance_error_that_is_one_too_are_refused(tmp_path: Path) -> None:
    with pytest.raises(
        AnalysisError, match=r"and so is every `chance_error`.*multiply both by 100"
    ):
        loaded(tmp_path, f"{HEADER},chance_error", percent_but(set(EVERY), ",0.9"))


def test_fractions_throughout_beside_a_chance_error_in_percent_are_warned_of(
    tmp_path: Path,
) -> None:
    trials = loaded(tmp_path, f"{HEADER},chance_error", percent_but(set(EVERY), ",90"))
    assert trials.warnings == (
        "export.csv: every `test_error` is at most 1 (the highest is 0.153), so these may be "
        "fractions beside a `chance_error` in percent; if they are, multiply them by 100.",
    )


def test_percent_throughout_is_not_suspected(tmp_path: Path) -> None:
    assert loaded(tmp_path, HEADER, percent_but(set())).warnings == ()


@pytest.mark.parametrize("outcome", ["", "completed"])
@pytest.mark.parametrize(
    ("value", "said"),
    [
        ("", r"has no `test_error`: norm='b', batch_size=4, seed=1\. If it diverged, say outcome="),
        ("140", r"has a `test_error` of 140: norm='b'.*`0 <= test_error <= 100` must hold"),
        ("-1", r"has a `test_error` of -1: norm='b'.*If it diverged, say outcome=diverged"),
        ("inf", r"has a `test_error` of inf: norm='b'.*If it diverged, say outcome=diverged"),
    ],
)
def test_a_bad_error_is_told_with_file_row_and_remedy(
    tmp_path: Path, outcome: str, value: str, said: str
) -> None:
    """The same with a column `outcome` and without one."""
    end = f",{outcome}" if outcome else ""
    rows = [f"a,4,0,6{end}", f"a,4,1,6.5{end}", f"b,4,0,7{end}", f"b,4,1,{value}{end}"]
    header = HEADER + (",outcome" if outcome else "")
    with pytest.raises(AnalysisError, match=r"export\.csv: row 4 " + said):
        loaded(tmp_path, header, rows)


@pytest.mark.parametrize(
    ("row", "said"),
    [
        (",4,0,6,,", "has no `norm`"),
        ("a,,0,6,,", "has no `batch_size`"),
        ("a,0,0,6,,", "has a `batch_size` of 0"),
        ("a,4,0,6,ok,", "has the outcome 'ok'"),
        ("a,4,0,,diverged,", "diverged and has no `chance_error`: .*write 90 with ten classes"),
        ("a,4,0,6,,140", "has a `chance_error` of 140"),
    ],
)
def test_any_bad_value_is_told_with_file_and_row(tmp_path: Path, row: str, said: str) -> None:
    header = f"{HEADER},outcome,chance_error"
    with pytest.raises(AnalysisError, match=rf"export\.csv: row 2 {said}"):
        loaded(tmp_path, header, ["a,8,0,6,completed,90", row])


@pytest.mark.parametrize(
    ("encoding", "said"),
    [
        (
            "utf-16",
            r"is not UTF-8 \(it begins like UTF-16, as Excel's Unicode Text does\)",
        ),
        ("cp1252", r"is not UTF-8 \(line 2: .*\)"),
    ],
)
def test_a_table_that_is_not_utf_8_is_told_how_to_be(
    tmp_path: Path, encoding: str, said: str
) -> None:
    path = tmp_path / "export.csv"
    path.write_bytes(f"{HEADER}\nÄhnlich,4,0,6\n".replace(",", "\t").encode(encoding))
    with pytest.raises(AnalysisError, match=r"export\.csv " + said + "; save it as CSV UTF-8$"):
        load_results(path)


HEADER = "norm,batch_size,seed,test_error"
ROWS = [f"{n},{size},{s},{6 + s / 10 + size / 7}" for n in "ab" for size in (4, 2) for s in (0, 1)]


@pytest.mark.parametrize("name", ["Notes", "outcome", "State", "dataset", "num_train", "trial_id"])
def test_a_column_without_any_value_is_not_read(tmp_path: Path, name: str) -> None:
    rows = [f"{row},,{'xy'[i % 2]}" for i, row in enumerate(ROWS)]
    path = written(tmp_path, f"{HEADER},{name},tag", rows)
    for where in ([], ["--where", "tag=x"]) if name == "Notes" else []:
        done = RUNNER.invoke(app, ["report", str(path), "--out", str(tmp_path / "out"), *where])
        assert (done.exit_code, done.exception) == (0, None)
    trials = load_results(path)
    assert set(trials.trials["outcome"]) == {"completed"}
    assert trials.warnings == ()
    if name in ("Notes", "State"):
        assert f"Columns not read: {name}." in trials.notes
    if name == "Notes":
        with pytest.raises(AnalysisError, match="no setting 'Notes'; there are tag"):
            load_results(path, {"Notes": "x"})


@pytest.mark.parametrize("name", ["norm", "batch_size", "seed", "test_error"])
def test_a_needed_column_without_any_value_is_refused_by_name(tmp_path: Path, name: str) -> None:
    at = HEADER.split(",").index(name)
    cells = [row.split(",") for row in ROWS]
    rows = [",".join([*row[:at], "", *row[at + 1 :]]) for row in cells]
    with pytest.raises(AnalysisError, match=name):
        loaded(tmp_path, HEADER, rows)


def test_dates_are_no_setting(tmp_path: Path) -> None:
    rows = [f"{row},2026-10-0{i % 2 + 1}T12:00:00.000Z" for i, row in enumerate(ROWS)]
    assert "Columns not read: Created." in loaded(tmp_path, f"{HEADER},Created", rows).notes


def test_labels_that_differ_in_case_only_are_warned_of(tmp_path: Path) -> None:
    rows = [*ROWS, *(row.replace("a", "A", 1) for row in ROWS[:4])]
    assert loaded(tmp_path, HEADER, rows).warnings == (
        "The norms 'a', 'A' differ in upper and lower case only and are compared as different "
        "norms; write one label if they are the same.",
    )


@pytest.mark.parametrize("name", ["a.tsv", "A.CSV", "a.txt", "table", "a.csv.gz"])
def test_a_file_is_read_as_a_table_whatever_its_suffix(tmp_path: Path, name: str) -> None:
    text = "\n".join([HEADER, *ROWS])
    text = text.replace(",", "\t") if name == "a.tsv" else text
    packed = gzip.compress(text.encode()) if name.endswith(".gz") else text.encode()
    (tmp_path / name).write_bytes(packed)
    trials = load_results(tmp_path / name)
    assert len(trials.trials) == len(ROWS)
    assert trials.name == name.partition(".")[0]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"PK\x03\x04\x14\0", "is a workbook or a zip archive, no CSV; save it as CSV UTF-8"),
        (b"SQLite format 3\0", "is no text file; save it as CSV UTF-8"),
        (b"\x1f\x8b\x08\0", "cannot be read as a CSV"),
        (b"", "cannot be read as a CSV"),
    ],
)
def test_a_file_that_is_no_text_is_refused(tmp_path: Path, content: bytes, said: str) -> None:
    (tmp_path / "a.xlsx").write_bytes(content)
    with pytest.raises(AnalysisError, match=said):
        load_results(tmp_path / "a.xlsx")


@pytest.mark.parametrize("name", ["a.csv", "A.CSV", "a.tsv", "a.csv.gz", "a.xlsx"])
def test_a_table_that_is_not_there_is_no_experiment(tmp_path: Path, name: str) -> None:
    with pytest.raises(AnalysisError, match=f"no file .*{name}"):
        load_results(tmp_path / name)


def test_what_can_be_detected_is_told_by_number_of_seeds(tmp_path: Path) -> None:
    rows = [
        f"{norm},{size},{s},{6 + size / 7 + s * s * spread / 50}"
        for norm, spread, seeds in (("a", 1, 4), ("b", 3, 4), ("c", 2, 3))
        for size in (4, 2)
        for s in range(seeds)
    ]
    found = describe_power(compute_findings(loaded(tmp_path, HEADER, rows), ReportOptions())[0])
    assert found[0].startswith("With 3 seeds (c) a difference in AUEC is found four times in five")
    assert found[1].startswith("With 4 seeds (b) a difference in AUEC is found four times in five")
