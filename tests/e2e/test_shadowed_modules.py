"""Files of the working folder that have the name of a part of the program, or of a library."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from user_folder import SMALL, Folder

# A name of each kind: of this program, of Python, of a library; imported early and late.
FILES = ["sweep", "trainables", "normmods", "random", "logging", "types", "dataclasses"]
LIBRARIES = ["yaml", "typer", "rich", "numpy", "torch", "ray", "mlflow", "pandas"]
MINE = "from torch import nn\nimport neighbour\n\n\nclass Mine(nn.BatchNorm2d):\n    pass\n"


def shadow(folder: Path, *names: str) -> None:
    for name in names:
        (folder / f"{name}.py").write_text("raise RuntimeError('imported in place of another')\n")


def test_norm_sweep_trains_and_reports_beside_files_of_any_name(folder: Folder) -> None:
    shadow(folder.path, *FILES, *LIBRARIES)
    (folder.path / "analysis").mkdir()
    shadow(folder.path / "analysis", "__init__")
    (folder.path / "mine.py").write_text(MINE)
    (folder.path / "neighbour.py").touch()
    norms = ["batchnorm", "mine:Mine"]
    folder.grid(factors={"norm": norms, "batch_size": [16], "seed": 1})
    script = "import sys; sys.argv[0] = 'norm-sweep'; from norm_sweep.__main__ import main; main()"
    done = folder.isolated(script, "run", "grid.yaml", "--report", "report")
    assert done.returncode == 0, done.stderr
    assert {record["outcome"] for record in folder.records().values()} == {"completed"}
    assert "mine:Mine" in (folder.path / "report/report.html").read_text()


@pytest.mark.parametrize("name", ["analysis", "random", "yaml", "torch", "logging", "typing"])
def test_python_m_imports_the_program_before_the_folder(folder: Folder, name: str) -> None:
    shadow(folder.path, name)
    folder.grid()
    done = folder.sweep("plan", "grid.yaml", "--json")
    assert done.returncode == 0, done.stderr
    assert re.fullmatch(r"checking 4 cells\n(warning: .*\n)*", done.stderr)
    report = folder.python("norm_sweep", "report", "nothing")
    assert report.returncode == 2
    assert "Traceback" not in report.stderr


def test_a_module_that_python_has_imported_before_is_named(folder: Folder) -> None:
    folder.grid()
    file = folder.path / "keyword.py"
    file.write_text("kwlist = []\niskeyword = issoftkeyword = kwlist.__contains__\n")
    done = folder.sweep("plan", "grid.yaml")
    assert done.returncode == 2
    assert done.stderr == (
        f"{file} is imported in place of Python's module 'keyword': "
        f"rename it, or type `norm-sweep` instead of `python -m sweep`\n"
    )


@pytest.mark.parametrize(
    ("file", "module"),
    [
        ("analysis/__init__.py", "norm-sweep's package 'analysis'"),
        ("random.py", "Python's module 'random'"),
        ("torch.py", "the library 'torch'"),
    ],
)
def test_a_file_on_pythonpath_is_named(folder: Folder, file: str, module: str) -> None:
    folder.grid()
    place = folder.path / file
    place.parent.mkdir(exist_ok=True)
    place.touch()
    done = folder.python("norm_sweep", "plan", "grid.yaml", PYTHONPATH=str(folder.path))
    assert done.returncode == 2
    assert done.stderr == (
        f"{place} is imported in place of {module}: "
        f"rename it, or take its folder out of PYTHONPATH\n"
    )


def test_other_files_on_pythonpath_are_the_users_own(folder: Folder) -> None:
    shadow(folder.path, "test", "my_layers")
    folder.grid()
    done = folder.python("norm_sweep", "plan", "grid.yaml", PYTHONPATH=str(folder.path))
    assert done.returncode == 0, done.stderr


def test_a_grid_that_names_a_module_whose_name_is_taken_is_refused(folder: Folder) -> None:
    (folder.path / "analysis").mkdir()
    (folder.path / "analysis/norms.py").write_text(MINE)
    (folder.path / "analysis/__init__.py").touch()
    norms = ["batchnorm", "analysis.norms:Mine"]
    folder.grid(factors={**SMALL["factors"], "norm": norms})
    for command in (["plan", "grid.yaml"], ["check-norm", "analysis.norms:Mine"]):
        done = folder.python("norm_sweep", *command)
        assert done.returncode == 2
        assert "the name 'analysis' is taken: Python imports " in done.stderr
        assert f" and not {folder.path / 'analysis'}; rename analysis" in done.stderr


def test_a_module_that_gets_another_one_than_its_neighbour_is_noted(folder: Folder) -> None:
    (folder.path / "mine.py").write_text(MINE.replace("neighbour", "networkx"))
    (folder.path / "networkx.py").touch()
    folder.grid(factors={**SMALL["factors"], "norm": ["batchnorm", "mine:Mine"]})
    done = folder.sweep("plan", "grid.yaml")
    assert done.returncode == 0, done.stderr
    assert "note: the name 'networkx' is taken" in " ".join(done.stdout.split())
