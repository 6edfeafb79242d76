"""Every command in the documentation: typed in a folder with a finished sweep, or looked up."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from commands import NOT_RUN, Command, shown
from pages import ROOT, blocks

from sweep.grid.model import load_grid

COMMANDS = shown()
GRID = {
    "name": "my-sweep",
    "factors": {
        "norm": ["batchnorm", {"name": "groupnorm", "num_groups": 8}],
        "batch_size": [16, 4],
        "seed": 3,
    },
    "data": {"name": "digits", "num_train": 32, "num_test": 40},
    "model": {"name": "resnet8", "width": 8},
    "train": {"epochs": 1, "optimizer": {"lr": 0.1}},
    "reference": "batchnorm",
}
MY_LAYERS = "from normmods.group import GroupNorm\n\n\nclass MyNorm(GroupNorm):\n    pass\n"
PLACEHOLDERS = {
    "compare A B": "compare my-sweep runs/my-sweep",
    "check-norm NAME": "check-norm frn_tlu",
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """What a reader of any page has: a grid, a layer, a table of results, the grids of others."""
    (tmp_path / "grid.yaml").write_text(yaml.safe_dump(GRID))
    (tmp_path / "my_layers.py").write_text(MY_LAYERS)
    (table,) = (b.text for b in blocks(ROOT / "docs/measures.md") if b.language == "csv")
    (tmp_path / "results.csv").write_text(table)
    (tmp_path / "grids").symlink_to(ROOT / "grids")
    return tmp_path


@pytest.mark.slow
def test_those_that_end_by_themselves_do_what_they_say(folder: Path) -> None:
    done = typed(folder, "norm-sweep run grid.yaml --set factors.seed=5")
    assert done.returncode == 0, done.stdout
    commands = [command for command in COMMANDS if command.is_run and not command.is_mention]
    assert len(commands) > 12
    wrong = []
    for command in commands:
        done = typed(folder, command.text)
        if done.returncode or "Traceback" in done.stdout:
            wrong.append(f"{command.page}: `{command.text}`: {done.returncode}\n{done.stdout}")
    assert not wrong, "\n\n".join(wrong)


def typed(folder: Path, text: str) -> subprocess.CompletedProcess[str]:
    for placeholder, meant in PLACEHOLDERS.items():
        text = text.replace(placeholder, meant)
    clean = {k: v for k, v in os.environ.items() if not k.startswith(("MLFLOW_", "RAY_"))}
    return subprocess.run(
        ["bash", "-c", text],
        cwd=folder,
        env={**clean, "PATH": f"{Path(sys.executable).parent}:{clean['PATH']}"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=240,
    )


LOOKED_UP = [command for command in COMMANDS if command.is_mention or not command.is_run]


@pytest.mark.filterwarnings("ignore")  # Ray's and MLflow's, of what they import
@pytest.mark.parametrize("command", LOOKED_UP, ids=lambda command: command.text)
def test_the_others_have_the_options_that_are_shown(command: Command) -> None:
    if command.program == "make":
        dry = ["make", "--dry-run", *command.words]
        done = subprocess.run(dry, cwd=ROOT, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        return
    manual = help_of(command)
    for option in re.findall(r"(?<= )--[a-z-]+", re.split(" -- | '", command.text)[0]):
        assert option in manual, f"{command.page}: `{command.text}` has no {option}"
    for grid in re.findall(r"grids/[\w.-]+\.yaml", command.text):
        assert load_grid(ROOT / grid).trials


def help_of(command: Command) -> str:
    """The help of the subcommand that is called, in this process."""
    words = command.words
    depth = 2 if words[:1] == ["job"] else 1
    subcommand = [word for word in words[:depth] if not word.startswith("-")]
    runner, app = cli(command.program)
    done = runner.invoke(app, [*subcommand, "--help"], env={"COLUMNS": "200"})  # type: ignore[attr-defined]
    assert done.exit_code == 0, f"{command.page}: `{command.text}`: {done.output}"
    return re.sub(r"\x1b\[[\d;]*m", "", done.output)


def cli(program: str) -> tuple[object, object]:
    """What runs a program's command line in a test, and the command line."""
    import typer.testing
    from click.testing import CliRunner

    if program == "ray":
        from ray.scripts.scripts import cli as ray

        return CliRunner(), ray
    if program == "mlflow":
        from mlflow.cli import cli as mlflow

        return CliRunner(), mlflow
    from norm_sweep.cli import app as norm_sweep

    return typer.testing.CliRunner(), norm_sweep


def test_what_is_not_run_is_shown_somewhere() -> None:
    for start in NOT_RUN:
        assert any(command.text.startswith(start) for command in COMMANDS), start
