"""`make test` and `make demo` print what this project says, and no line of a library."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
TEST = """
import warnings

def test_warn():
    warnings.warn("of our own", FutureWarning)
    warnings.warn_explicit("foreign", FutureWarning, "store.py", 3, module="mlflow.store")
"""


def test_pytest_lists_our_warnings_and_no_librarys(tmp_path: Path) -> None:
    (tmp_path / "test_warnings.py").write_text(TEST)
    pytest = [sys.executable, "-m", "pytest", "-c", ROOT / "pyproject.toml"]
    done = subprocess.run(
        [*pytest, "-p", "no:cacheprovider", "--rootdir", tmp_path, tmp_path / "test_warnings.py"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=240,
    )
    assert done.returncode == 0, done.stdout
    assert "of our own" in done.stdout
    assert "foreign" not in done.stdout


def test_what_installs_prints_errors_alone() -> None:
    recipe = (ROOT / "Makefile").read_text().partition("$(INSTALLED): ")[2].partition("\n\n")[0]
    commands = [line for line in recipe.splitlines() if " pip " in line]
    assert len(commands) == 3
    for command in commands:
        pip = "-m pip" in command
        # With one `-q`, pip still warns of find-links that are not there.
        assert (" -qq " if pip else " --quiet ") in command
        assert re.match(r"\t@", command)
