"""The tutorial holds: its files are written, its commands typed, its outputs compared."""

from __future__ import annotations

import csv
import doctest
import os
import subprocess
import sys
from pathlib import Path

from pages import ROOT, Block, blocks

PAGE = ROOT / "docs/tutorial.md"
OUTPUT = doctest.OutputChecker()


def test_a_reader_gets_from_an_empty_folder_to_a_row_in_the_report(tmp_path: Path) -> None:
    for block in blocks(PAGE):
        if block.language == "console":
            type_in(tmp_path, block)
        elif block.language == "diff":
            file = tmp_path / block.changed_file
            file.write_text(block.applied_to(file.read_text()))
        else:
            assert block.file is not None, f"a block that no reader can follow:\n{block.text}"
            (tmp_path / block.file).write_text(block.text)
    for report in ("report", "report/my-task"):
        with open(tmp_path / report / "tables/errors.csv") as file:
            norms = {row["norm"] for row in csv.DictReader(file)}
        assert {"batchnorm", "my_layers:MixNorm"} <= norms
        assert "my_layers:MixNorm" in (tmp_path / report / "report.html").read_text()


def type_in(folder: Path, block: Block) -> None:
    """Type a console's commands; the page must show what they print, and an exit code not 0."""
    code = 0
    for command, shown in block.session:
        assert not code or command == "echo $?", f"exit code {code} before {command!r}"
        found = subprocess.run(
            ["bash", "-c", f"(exit {code}); {command}"],
            cwd=folder,
            env=readers_environment(),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=240,
        )
        code = found.returncode
        assert OUTPUT.check_output(shown, found.stdout, doctest.ELLIPSIS), (
            f"$ {command}\nexpected:\n{shown}\nfound:\n{found.stdout}"
        )
    assert not code, f"exit code {code}, which the page does not show"


def readers_environment() -> dict[str, str]:
    clean = {k: v for k, v in os.environ.items() if not k.startswith(("MLFLOW_", "RAY_"))}
    return {**clean, "PATH": f"{Path(sys.executable).parent}:{clean['PATH']}", "COLUMNS": "100"}
