"""The functions for users: frames and figures, no output, and one family of errors."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest
from made_up_table import BASE, rows_of
from synthetic_sweep import make_sweep, write_folder

import analysis

LEVELS = {"batchnorm": {64: 6.4, 2: 13.8}, "groupnorm": {64: 7.0, 2: 7.3}}


def frame_of(levels: dict[str, dict[int, float]] = LEVELS, **columns: object) -> pd.DataFrame:
    rows = [line.split(",") for line in rows_of(levels)]
    frame = pd.DataFrame(rows, columns=BASE.split(","))
    numbers = ["batch_size", "seed", "test_error", "chance_error", "num_test"]
    return frame.assign(**{name: pd.to_numeric(frame[name]) for name in numbers}, **columns)


def test_a_data_frame_is_read_as_its_csv_is(tmp_path: Path) -> None:
    frame = frame_of(lr=[0.1, 0.2] * 6)
    frame.to_csv(tmp_path / "data frame.csv", index=False)
    before = frame.copy()
    read = analysis.load_results(frame)
    from_csv = analysis.load_results(tmp_path / "data frame.csv")
    pd.testing.assert_frame_equal(read.trials, from_csv.trials)
    pd.testing.assert_frame_equal(read.settings, from_csv.settings)
    assert read.notes == from_csv.notes
    pd.testing.assert_frame_equal(frame, before)


def test_text_columns_of_a_frame_may_hold_numbers() -> None:
    results = analysis.load_results(frame_of(variant=3, norm=7).drop_duplicates(["batch_size"]))
    assert set(results.trials["norm"]) == {"7"}
    assert set(results.trials["variant"]) == {"3"}


def test_a_frame_that_cannot_be_used_is_refused() -> None:
    with pytest.raises(analysis.AnalysisError, match="data frame lacks the columns seed"):
        analysis.load_results(frame_of().drop(columns="seed"))


def test_tables_are_those_of_the_report(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    results = analysis.load_results(frame_of())
    page, headline = analysis.write_report(results, tmp_path, reference="groupnorm")
    tables = {
        "errors": analysis.tabulate_errors(results, reference="groupnorm"),
        "measures": analysis.tabulate_measures(results, reference="groupnorm"),
        "gaps": analysis.compare(results, reference="groupnorm"),
    }
    for name, table in tables.items():
        written = pd.read_csv(tmp_path / f"tables/{name}.csv")
        assert list(table.columns) == list(written.columns)
        for column in ("norm", "comparison"):
            assert list(table[column]) == list(written[column])
        for column in table.select_dtypes("float"):
            assert table[column].to_numpy() == pytest.approx(
                written[column].to_numpy(float), rel=1e-5, nan_ok=True
            )
    assert page == tmp_path / "report.html"
    assert page.is_file()
    assert any("batchnorm" in line for line in headline)
    assert capsys.readouterr() == ("", "")


def test_batch_sizes_are_whole_numbers_and_missing_for_auec() -> None:
    table = analysis.compare(analysis.load_results(frame_of()))
    assert table["batch_size"].dtype == "Int64"
    assert table.loc[table["measure"] == "auec", "batch_size"].isna().all()
    later = analysis.load_results(
        frame_of({n: {b: e + 1 for b, e in s.items()} for n, s in LEVELS.items()})
    )
    changes = analysis.compare_sweeps(analysis.load_results(frame_of()), later)
    assert changes["difference"].to_numpy() == pytest.approx(1.0)
    assert changes["batch_size"].dtype == "Int64"


def test_a_figure_of_several_comparisons_needs_the_label_of_one() -> None:
    frame = pd.concat([frame_of(dataset="digits"), frame_of(dataset="letters")])
    results = analysis.load_results(frame)
    with pytest.raises(analysis.AnalysisError, match="one of 'digits, cnn', 'letters, cnn'"):
        analysis.plot_degradation(results)
    with pytest.raises(analysis.AnalysisError, match="no comparison 'words'"):
        analysis.plot_degradation(results, comparison="words")
    assert analysis.plot_degradation(results, comparison="letters, cnn").axes
    assert list(dict.fromkeys(analysis.tabulate_errors(results)["comparison"])) == [
        "digits, cnn",
        "letters, cnn",
    ]


def test_every_figure_can_be_drawn_of_a_sweep(tmp_path: Path) -> None:
    results = analysis.load_results(write_folder(make_sweep(), tmp_path))
    for plot in (
        analysis.plot_error_by_batch_size,
        analysis.plot_degradation,
        analysis.plot_level_and_slope,
        analysis.plot_differences,
        analysis.plot_learning_curves,
    ):
        assert plot(results).axes


@pytest.mark.parametrize(
    ("plot", "reason"),
    [
        ("plot_degradation", "a rise needs two batch sizes"),
        ("plot_level_and_slope", "fewer than two norms"),
        ("plot_differences", "no norm shares"),
        ("plot_learning_curves", "the source holds no epochs"),
    ],
)
def test_what_cannot_be_drawn_is_refused_with_the_reason(plot: str, reason: str) -> None:
    results = analysis.load_results(frame_of({"batchnorm": {64: 6.4}}))
    with pytest.raises(analysis.AnalysisError, match=f"nothing to draw: {reason}"):
        getattr(analysis, plot)(results)


def test_a_report_of_an_unchanged_source_is_kept(tmp_path: Path) -> None:
    source = write_folder(make_sweep(), tmp_path)
    first = analysis.write_report(source, tmp_path / "out")
    time = first.page.stat().st_mtime_ns
    assert analysis.write_report(source, tmp_path / "out") == first
    assert first.page.stat().st_mtime_ns == time
    analysis.write_report(source, tmp_path / "out", margin=2.0)
    assert first.page.stat().st_mtime_ns > time


def test_loaded_results_take_no_filter(tmp_path: Path) -> None:
    results = analysis.load_results(frame_of())
    with pytest.raises(analysis.AnalysisError, match="give it to load_results"):
        analysis.write_report(results, tmp_path, settings_filter={"lr": "0.1"})


def test_a_sweep_is_not_compared_with_itself(tmp_path: Path) -> None:
    source = write_folder(make_sweep(), tmp_path)
    with pytest.raises(analysis.AnalysisError, match="both name the sweep"):
        analysis.write_comparison(source, source, tmp_path / "out")


def test_a_filtered_level_of_one_sweep_alone_does_not_make_the_sweeps_different(
    tmp_path: Path,
) -> None:
    single = frame_of().assign(lr=0.1)
    crossed = pd.concat(single.assign(variant=f"lr={lr}", lr=lr) for lr in (0.1, 0.2))
    found = analysis.write_comparison(single, crossed, tmp_path, settings_filter={"lr": "0.1"})
    assert not any("Not the same thing" in line for line in found.headline)
    rest = crossed[crossed["lr"] == 0.1]
    found = analysis.write_comparison(single, rest, tmp_path)
    assert found.headline[0].startswith("Not the same thing was trained")
