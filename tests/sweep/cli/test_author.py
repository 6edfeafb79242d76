"""`init`: a grid that runs as it is, and the schema beside it."""

from __future__ import annotations

import json
from pathlib import Path

from typer.testing import CliRunner

from sweep.cli.app import app
from sweep.errors import ExitCode
from sweep.grid.model import load_grid
from sweep.grid.schema import EDITOR_HINT, make_schema


def test_a_new_grid_points_to_its_schema() -> None:
    result = CliRunner().invoke(app, ["init", "new.yaml"])
    assert result.exit_code == ExitCode.DONE
    assert Path("new.yaml").read_text().startswith(f"{EDITOR_HINT}grid.schema.json\n")
    assert json.loads(Path("grid.schema.json").read_text()) == make_schema()
    assert load_grid("new.yaml").trials


def test_a_grid_that_is_there_stays() -> None:
    Path("grid.yaml").write_text("mine")
    result = CliRunner().invoke(app, ["init"])
    assert result.exit_code == ExitCode.REFUSED
    assert Path("grid.yaml").read_text() == "mine"
    assert not Path("grid.schema.json").exists()


def test_the_command_that_is_shown_can_be_typed_for_any_path() -> None:
    Path("my grids").mkdir()
    result = CliRunner().invoke(app, ["init", "my grids/a grid.yaml"])
    assert result.exit_code == ExitCode.DONE
    assert "`norm-sweep plan 'my grids/a grid.yaml'`" in result.stdout


def test_a_folder_that_is_not_there_is_named() -> None:
    result = CliRunner().invoke(app, ["init", "absent/grid.yaml"])
    assert result.exit_code == ExitCode.REFUSED
    assert result.stderr == "absent/grid.yaml cannot be written: make absent/ first\n"


def test_a_grid_that_comes_with_the_program() -> None:
    result = CliRunner().invoke(app, ["init", "--example", "quickstart", "mine.yaml"])
    assert result.exit_code == ExitCode.DONE
    shipped = Path(__file__).parents[3] / "grids" / "quickstart.yaml"
    assert Path("mine.yaml").read_text() == shipped.read_text()


def test_an_example_that_is_not_there_is_refused_with_the_nearest() -> None:
    result = CliRunner().invoke(app, ["init", "--example", "quikstart"])
    assert result.exit_code == ExitCode.REFUSED
    assert "did you mean 'quickstart'?" in result.stderr
    assert not Path("grid.yaml").exists()
