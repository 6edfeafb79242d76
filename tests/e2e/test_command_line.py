"""What every command line owes: help, a version, one line for a mistake, any terminal and pipe."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest
from user_folder import SMALL, Folder

COMMANDS = {
    "norm_sweep": (
        *("init", "plan", "run", "status", "sync", "reproduce", "parameters", "gc", "schema"),
        *("check-norm", "report", "compare", "decide"),
    ),
    "sweep": ("init", "plan", "run", "reproduce"),
    "analysis": ("report", "compare", "decide"),
}


@pytest.mark.parametrize("module", COMMANDS)
def test_help_and_version_in_every_place(folder: Folder, module: str) -> None:
    version = folder.python(module, "--version")
    assert version.returncode == 0
    assert re.fullmatch(r"norm-sweep \d+\.\d+\.\d+\S*\n", version.stdout)
    shown = folder.python(module, "-h")
    assert shown.returncode == 0
    assert all(f" {command} " in shown.stdout for command in COMMANDS[module])
    for command in COMMANDS[module][:2]:
        assert folder.python(module, command, "-h").returncode == 0


@pytest.mark.parametrize("columns", [40, 60, 80])
def test_names_of_options_are_whole_in_any_terminal(folder: Folder, columns: int) -> None:
    for command, options in {
        "run": ("--scale", "--set", "--address", "--retry", "--report", "--dry-run", "--help"),
        "report": ("--out", "--reference", "--margin", "--threshold", "--where", "--to-mlflow"),
    }.items():
        shown = folder.python("norm_sweep", command, "-h", COLUMNS=str(columns)).stdout
        assert max(map(len, shown.splitlines())) <= columns
        for option in options:
            assert re.search(rf"{option}\b", shown), (command, option)


@pytest.mark.parametrize(
    ("typed", "expected"),
    [
        (("norm_sweep", "pln"), "No such command 'pln'. Did you mean 'plan'?"),
        (("norm_sweep", "reprot"), "No such command 'reprot'. Did you mean 'report'"),
        (("sweep", "run", "g.yaml", "--repot"), "No such option: --repot (Possible options: "),
        (("analysis", "report", "x", "--were", "a=1"), "No such option: --were (Possible opt"),
        (("sweep", "plan"), "Missing argument 'GRID'"),
        (("sweep", "reproduce", "g.yaml", "t", "--epochs", "x"), "Invalid value for '--epochs'"),
    ],
)
def test_a_mistake_is_one_line(folder: Folder, typed: tuple[str, ...], expected: str) -> None:
    done = folder.python(*typed)
    assert (done.returncode, done.stdout) == (2, "")
    (line,) = done.stderr.splitlines()
    assert expected in line
    assert line.endswith(" -h` shows what there is)")


@pytest.mark.parametrize("closed", ["<&-", ">&-", "2>&-", "<&- >&- 2>&-"])
def test_a_closed_stream_is_no_error(folder: Folder, closed: str) -> None:
    folder.grid()
    command = f"{sys.executable} -m norm_sweep status grid.yaml {closed}"
    done = subprocess.run(
        ["bash", "-c", command],
        cwd=folder.path,
        env=folder.environment(),
        capture_output=True,
        text=True,
        timeout=240,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert ("4 trials" in done.stdout) == (">&-" not in closed.replace("2>&-", ""))


def test_a_layer_in_a_folder_with_an_environment_brings_no_warning(folder: Folder) -> None:
    """The folder's `.venv` is not the user's own code, and is not looked into."""
    library = folder.path / ".venv/lib/loud.py"
    library.parent.mkdir(parents=True)
    library.write_text(
        "import warnings\n\nclass Loud:\n    @property\n    def __module__(self):\n"
        "        warnings.warn('foreign', FutureWarning)\n\nloud = Loud()\n"
    )
    mine = "import sys\nsys.path.append('.venv/lib')\nimport loud\nfrom torch import nn\n"
    (folder.path / "mine.py").write_text(f"{mine}\nclass Mine(nn.BatchNorm2d):\n    pass\n")
    folder.grid(factors={**SMALL["factors"], "norm": ["batchnorm", "mine:Mine"]})
    done = folder.sweep("plan", "grid.yaml")
    assert done.returncode == 0, done.stderr
    assert "Warning" not in done.stdout + done.stderr


def test_the_installed_command_has_all_commands() -> None:
    script = Path(sys.executable).with_name("norm-sweep")
    if not script.exists():
        pytest.skip("the package is not installed beside Python")
    assert "norm_sweep.__main__" in script.read_text()
