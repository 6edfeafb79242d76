"""Which package may know of which, and what a plain import may load."""

from __future__ import annotations

import ast
import importlib
import json
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGES = ("normmods", "trainables", "sweep", "analysis", "norm_sweep")
ALLOWED: dict[str, set[str]] = {
    "normmods": set(),
    "trainables": {"normmods"},
    "sweep": {"trainables", "normmods"},
    "analysis": set(),
    "norm_sweep": {"sweep", "analysis"},  # the commands of both, side by side
}
MAX_LINES = 400
MEANINGLESS = {"utils", "util", "helpers", "helper", "manager", "core", "common", "misc"}


def modules(*packages: str) -> list[Path]:
    return sorted(file for package in packages for file in (ROOT / package).rglob("*.py"))


@cache
def imported(file: Path) -> frozenset[str]:
    """Top-level names of all that a file imports, inside functions and for types as well."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found.update(alias.name.split(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{file}:{node.lineno}: a relative import hides its package"
            found.add(str(node.module).split(".")[0])
    return frozenset(found)


def importers_of(library: str) -> set[str]:
    files = (file for file in modules(*PACKAGES) if library in imported(file))
    return {file.relative_to(ROOT).as_posix() for file in files}


@pytest.mark.parametrize("package", PACKAGES)
def test_the_arrows_between_the_packages(package: str) -> None:
    forbidden = set(PACKAGES) - ALLOWED[package] - {package}
    assert modules(package)
    for file in modules(package):
        assert not forbidden & imported(file), file


def test_only_the_sweep_knows_of_ray() -> None:
    found = importers_of("ray")
    assert "sweep/execution/trainable.py" in found
    assert all(file.startswith("sweep/") for file in found), found


def test_one_room_writes_to_mlflow_and_the_analysis_has_its_own() -> None:
    rooms = {file.rpartition("/")[0] for file in importers_of("mlflow")}
    assert {room for room in rooms if not room.startswith("analysis")} == {"sweep/tracking"}


def test_layers_need_torch_alone() -> None:
    for file in modules("normmods"):
        libraries = imported(file) - set(sys.stdlib_module_names) - {"normmods"}
        assert libraries <= {"torch"}, file


def test_the_analysis_knows_nothing_of_training() -> None:
    for library in ("torch", "torchvision", "ray"):
        assert not any(file.startswith("analysis/") for file in importers_of(library))


PROBE = """
import importlib, json, sys
sys.path.insert(0, sys.argv[1])
names = sys.argv[2].split()
for name in names:
    importlib.import_module(name)
if "sweep" in names:
    grid = sys.modules["sweep"].load_grid(sys.argv[1] + "/grids/quickstart.yaml")
    assert grid.trials
    importlib.import_module("sweep.cli.app")
print(json.dumps([name for name in sys.modules if "." not in name]))
"""


@pytest.mark.parametrize(
    ("names", "kept_out"),
    [
        ("analysis", {"torch", "torchvision", "ray", "mlflow", "normmods", "trainables", "sweep"}),
        (
            "norm_sweep.cli",
            {"torch", "torchvision", "ray", "mlflow", "pandas", "numpy", "matplotlib", "normmods"},
        ),
        ("analysis.cli", {"torch", "torchvision", "ray", "normmods", "trainables", "sweep"}),
        ("normmods", {"torch", "torchvision", "numpy", "trainables", "sweep", "analysis"}),
        (
            "trainables sweep",
            {"torch", "torchvision", "ray", "mlflow", "pandas", "numpy", "pyarrow", "analysis"},
        ),
    ],
)
def test_what_a_plain_import_loads(names: str, kept_out: set[str]) -> None:
    command = [sys.executable, "-c", PROBE, str(ROOT), names]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert not kept_out & set(json.loads(done.stdout))


def test_a_name_says_what_is_inside() -> None:
    for file in modules(*PACKAGES, "tests", "benchmarks"):
        assert not MEANINGLESS & set(file.relative_to(ROOT).with_suffix("").parts), file


def test_a_file_is_read_in_one_sitting() -> None:
    lengths = {
        file.relative_to(ROOT).as_posix(): len(file.read_text(encoding="utf-8").splitlines())
        for file in modules(*PACKAGES, "tests", "benchmarks")
    }
    assert {file: n for file, n in lengths.items() if n > MAX_LINES} == {}


def test_packages_only_hand_names_on() -> None:
    for file in modules(*PACKAGES):
        if file.name == "__init__.py":
            body = ast.parse(file.read_text(encoding="utf-8")).body
            kinds = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
            defined = {node.name for node in body if isinstance(node, kinds)}
            assert defined <= {"__getattr__", "__dir__"}, file


@pytest.mark.parametrize("package", PACKAGES)
def test_every_public_name_is_there(package: str) -> None:
    module = importlib.import_module(package)
    for name in getattr(module, "__all__", ()):
        assert getattr(module, name) is not None, name
