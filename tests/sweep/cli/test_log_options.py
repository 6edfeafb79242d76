"""`--verbose` and `--log-file` at the command line, of every command of every program."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import typer
from small_grids import write

import norm_sweep.cli
import sweep.cli.app
from analysis.cli import app as analysis_app

PROGRAMS = {
    "norm_sweep": norm_sweep.cli.app,
    "sweep": sweep.cli.app.app,
    "analysis": analysis_app,
}


@pytest.mark.parametrize("program", PROGRAMS)
def test_every_command_has_both_options(program: str) -> None:
    group = typer.main.get_command(PROGRAMS[program])
    commands = group.commands  # type: ignore[attr-defined]
    assert commands
    for name, command in commands.items():
        options = {option for parameter in command.params for option in parameter.opts}
        assert {"--verbose", "--log-file"} <= options, name


def run(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", *arguments]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)


def test_a_refusal_is_logged_and_printed_as_ever(tmp_path: Path) -> None:
    write(tmp_path / "grid.yaml")
    plain = run(tmp_path, "sweep", "sync", "grid.yaml")
    logged = run(tmp_path, "sweep", "sync", "grid.yaml", "--log-file", "run.log")
    assert (plain.returncode, logged.returncode) == (2, 2)
    assert logged.stderr == plain.stderr
    assert "holds no records yet" in plain.stderr
    (line,) = (tmp_path / "run.log").read_text().splitlines()
    assert "ERROR sweep.cli.exit_codes" in line
    assert "holds no records yet" in line


def test_verbose_leaves_standard_output_as_it_is(tmp_path: Path) -> None:
    plain = run(tmp_path, "sweep", "schema")
    verbose = run(tmp_path, "sweep", "schema", "--verbose")
    assert verbose.stdout == plain.stdout != ""


@pytest.mark.parametrize("program", [("sweep", "schema"), ("analysis", "report", "x.csv")])
def test_a_log_file_that_cannot_be_written_is_one_line(
    program: tuple[str, ...], tmp_path: Path
) -> None:
    done = run(tmp_path, *program, "--log-file", "missing/run.log")
    assert done.returncode == 2
    assert done.stdout == ""
    assert len(done.stderr.splitlines()) == 1
    assert "missing/run.log cannot be written: No such file or directory" in done.stderr


def test_the_analysis_logs_what_it_reads_and_writes(tmp_path: Path) -> None:
    rows = ["norm,batch_size,seed,test_error"]
    rows += [f"{n},{b},{s},{10 + s}" for n in ("a", "b") for b in (2, 8) for s in (0, 1)]
    (tmp_path / "results.csv").write_text("\n".join(rows) + "\n")
    done = run(tmp_path, "analysis", "report", "results.csv", "--verbose", "--log-file", "run.log")
    assert done.returncode == 0, done.stderr
    for text in (done.stderr, (tmp_path / "run.log").read_text()):
        assert "INFO analysis.interface" in text
        assert "read 8 trials from results.csv" in text
        assert "wrote the report to report" in text
