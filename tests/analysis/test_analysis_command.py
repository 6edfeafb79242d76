"""`norm-sweep report`: what it writes, what it prints, how it refuses."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from synthetic_sweep import diverge, make_sweep, write_folder
from typer.testing import CliRunner

from analysis.cli import app

FULL = make_sweep()
FIGURES = (
    "error-by-batch-size",
    "degradation",
    "level-and-slope",
    "forest",
    "learning-curves",
    "training-loss",
)


@pytest.fixture(scope="module")
def full(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_folder(FULL, tmp_path_factory.mktemp("runs"))


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    sweep = make_sweep(norms=("batchnorm", "assocnorm"), batch_sizes=(4, 2), num_epochs=2)
    return write_folder(sweep, tmp_path_factory.mktemp("runs"))


def run(*arguments: object) -> Any:
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


@pytest.fixture(scope="module")
def written(full: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """The folder of the full sweep's report, and what the command printed."""
    out = tmp_path_factory.mktemp("full") / "report"
    result = run("report", full, "--out", out)
    assert result.exit_code == 0
    return out, result.stdout


def files_in(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def test_a_report_is_written_and_summed_up(written: tuple[Path, str]) -> None:
    out, printed = written
    assert "36 of 36 trials have a result" in printed
    assert f"Report: {out / 'report.html'}" in printed
    assert {
        "report.html",
        "report.md",
        "report.json",
        "manifest.json",
        "tables/errors.csv",
        "tables/errors.tex",
        "tables/gaps.csv",
        "tables/measures.csv",
        "tables/trials.csv",
        *(f"figures/{name}.{form}" for name in FIGURES for form in ("svg", "png", "pdf")),
    } == files_in(out).keys()


def test_the_page_needs_nothing_from_outside(written: tuple[Path, str]) -> None:
    page = (written[0] / "report.html").read_text()
    assert not re.findall(r"(?:src|href)=\"(?!data:|#)", page)
    assert "<script" not in page
    assert "url(" not in page
    images = re.findall(r"<img [^>]*>", page)
    assert images
    assert all(re.search(r'alt="[^"]{40,}"', image) for image in images)


def test_the_same_trials_give_the_same_bytes(
    full: Path, written: tuple[Path, str], tmp_path: Path
) -> None:
    subprocess.run(
        [sys.executable, "-m", "analysis", "report", full, "--out", tmp_path],
        check=True,
        env={**os.environ, "PYTHONHASHSEED": "7"},
        stdout=subprocess.DEVNULL,
    )
    again = files_in(tmp_path)
    for name, content in files_in(written[0]).items():
        assert content == again[name], name


def test_numbers_in_the_tables_are_the_trials_own(written: tuple[Path, str]) -> None:
    trials = pd.read_csv(written[0] / "tables" / "trials.csv")
    errors = pd.read_csv(written[0] / "tables" / "errors.csv")
    means = trials.groupby(["norm", "batch_size"])["test_error"].mean()
    for row in errors.itertuples():
        assert row.mean_error == pytest.approx(means[row.norm, row.batch_size], rel=1e-5)
        assert (row.seeds_ended, row.seeds_asked, row.diverged) == (3, 3, 0)


def test_a_half_finished_small_sweep_says_what_is_missing(tmp_path: Path) -> None:
    sweep = make_sweep(num_train=500)
    records = list(sweep["records"].values())
    diverge(records[3], 2)
    records[5]["outcome"] = "failed"
    for record in records[20:24]:
        record["outcome"] = None
    for record in records[24:]:
        del sweep["records"][record["trial_id"]]
    folder = write_folder(sweep, tmp_path)
    assert run("report", folder, "--out", tmp_path / "out").exit_code == 0
    text = (tmp_path / "out" / "report.md").read_text()
    assert "PART OF THE DATA: 500 training images" in text
    assert "assocnorm at batch size 2: seed 1 running; seed 2 not started" in text
    assert "seed 0 failed" in text
    assert "Fewer than 3 seeds" in text
    assert "1 diverged" in text
    assert "±" not in text.split("### Test error")[1].split("Mean of")[0]


def test_an_unchanged_report_is_not_made_again(small: Path, tmp_path: Path) -> None:
    out = tmp_path / "report"
    first = run("report", small, "--out", out)
    assert first.exit_code == 0, first.stderr
    stamp, drawn = (out / "report.html").stat().st_mtime_ns, files_in(out)["figures/forest.svg"]
    assert run("report", small, "--out", out).stdout == first.stdout
    assert (out / "report.html").stat().st_mtime_ns == stamp
    (out / "figures" / "forest.svg").write_text("damaged")
    run("report", small, "--out", out)
    assert (out / "figures" / "forest.svg").read_bytes() == drawn
    (out / "mine.txt").write_text("mine")
    run("report", small, "--out", out, "--threshold", 20)
    assert "tables/times.csv" in files_in(out)
    run("report", small, "--out", out, "--margin", 0.1)
    assert "tables/times.csv" not in files_in(out)
    assert (out / "mine.txt").read_text() == "mine"
    assert "at most 0.1 points" in (out / "report.md").read_text()


@pytest.mark.parametrize(
    ("command", "name"),
    [
        ("report", "report.md"),
        ("report", "figures/forest.svg"),
        ("report", "manifest.json"),
        ("compare", "report.html"),
    ],
)
def test_somebody_s_own_files_are_not_replaced(
    command: str, name: str, small: Path, tmp_path: Path
) -> None:
    own = tmp_path / name
    own.parent.mkdir(exist_ok=True)
    own.write_text('{"files": {"my.txt": ""}}')
    sources = [small]
    if command == "compare":
        sources.append(Path(shutil.copytree(small, tmp_path.with_name(f"{tmp_path.name}-after"))))
    result = run(command, *sources, "--out", tmp_path)
    assert result.exit_code == 2
    assert f"{own} was not written by a report and would be lost" in result.stderr
    assert own.read_text() == '{"files": {"my.txt": ""}}'
    assert files_in(tmp_path).keys() == {name}


def test_a_report_cut_short_while_it_was_written_is_made_again(small: Path, tmp_path: Path) -> None:
    script = (
        "import os, sys; from pathlib import Path; from analysis.cli import app\n"
        "real = Path.write_bytes\n"
        "def write(path, content):\n"
        "    if path.name == 'errors.csv': os._exit(9)\n"
        "    return real(path, content)\n"
        "Path.write_bytes = write; app(['report', sys.argv[1], '--out', sys.argv[2]])\n"
    )
    cut = subprocess.run([sys.executable, "-c", script, small, tmp_path])
    assert cut.returncode == 9
    assert (tmp_path / "report.html").is_file()
    result = run("report", small, "--out", tmp_path)
    assert result.exit_code == 0, result.stderr
    assert (tmp_path / "tables" / "errors.csv").is_file()


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--margin", "0"], "`0 < margin < inf` must hold, but got margin=0.0"),
        (["--threshold", "100"], "`0 < threshold < 100` must hold, but got 100.0"),
        (["--where", "epochs"], "--where takes SETTING=VALUE, but got 'epochs'"),
        (["--where", "epochs=5"], "no setting 'epochs'; there are data.augment"),
        (["--where", "train.epochs=6"], "no trial with train.epochs=6; its values are 5"),
        (["--to-mlflow"], "--to-mlflow needs an MLflow experiment"),
    ],
)
def test_options_that_cannot_be_are_refused(
    options: list[str], words: str, full: Path, tmp_path: Path
) -> None:
    result = run("report", full, "--out", tmp_path, *options)
    assert result.exit_code == 2
    assert words in result.stderr


def test_the_reference_can_be_chosen(small: Path, tmp_path: Path) -> None:
    run("report", small, "--out", tmp_path, "--reference", "batchnorm")
    assert "### Gap to batchnorm" in (tmp_path / "report.md").read_text()
    wrong = run("report", small, "--out", tmp_path, "--reference", "batchnrm")
    assert wrong.exit_code == 2
    assert "did you mean 'batchnorm'?" in wrong.stderr


def test_errors_are_one_line_and_exit_2(full: Path, tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("")
    short = tmp_path / "short.csv"
    short.write_text("norm,seed\na,0\n")
    unfinished = make_sweep(num_seeds=1)
    for record in unfinished["records"].values():
        record["outcome"] = None
    cases = [
        (["report", tmp_path / "none.csv"], "no file"),
        (["report", short], "lacks the columns batch_size, test_error"),
        (["report", full, "--out", tmp_path / "taken"], "cannot write the report"),
        (["report", write_folder(unfinished, tmp_path / "runs")], "no trial has finished"),
    ]
    for arguments, words in cases:
        result = run(*arguments)
        assert result.exit_code == 2
        assert words in result.stderr
        assert len(result.stderr.splitlines()) == 1


def test_help_loads_nothing_that_takes_long() -> None:
    loaded = subprocess.run(
        [
            sys.executable,
            "-c",
            "import sys, analysis.cli; print(*{m.partition('.')[0] for m in sys.modules})",
        ],
        check=True,
        capture_output=True,
        text=True,
    ).stdout.split()
    assert not {"pandas", "matplotlib", "scipy", "mlflow", "torch", "ray"} & set(loaded)
    assert run("report", "--help").exit_code == 0


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no /dev/full")
@pytest.mark.parametrize("program", ["analysis", "norm_sweep"])
def test_output_that_cannot_be_written_is_one_line(
    small: Path, tmp_path: Path, program: str
) -> None:
    command = [sys.executable, "-m", program, "report", str(small), "--out", str(tmp_path)]
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True, check=False)
    assert done.returncode == 2
    assert done.stderr == "error: [Errno 28] No space left on device\n"
