"""What a plain import may load, and what the contracts of import-linter cannot say.

`lint-imports` (in `make check`) checks which package imports which: `[tool.importlinter]` in
pyproject.toml.
"""

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
MAX_LINES = 400
MEANINGLESS = {"utils", "util", "helpers", "helper", "manager", "core", "common", "misc"}


def modules(*packages: str) -> list[Path]:
    return sorted(file for package in packages for file in (ROOT / package).rglob("*.py"))


@cache
def imported_modules(file: Path) -> frozenset[str]:
    """Full names of the modules that a file imports, inside functions and for types as well."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{file}:{node.lineno}: a relative import hides its package"
            found.update(f"{node.module}.{alias.name}" for alias in node.names)
    return frozenset(found)


def is_inside_ray(module: str) -> bool:
    """Whether a module or name of Ray's is none that Ray documents for its users."""
    first, *parts = module.split(".")
    return first == "ray" and any(
        part.startswith("_") or part in ("air", "execution", "job_config") for part in parts
    )


def test_one_module_depends_on_the_insides_of_ray_and_tune() -> None:
    found = {
        file.relative_to(ROOT).as_posix()
        for file in modules("sweep")
        if any(is_inside_ray(name) for name in imported_modules(file))
    }
    assert found == {"sweep/resources/ray_compat.py"}


@pytest.mark.parametrize(
    ("module", "is_inside"),
    [
        ("ray", False),
        ("ray.tune.schedulers", False),
        ("ray.exceptions", False),
        ("ray._private.services", True),
        ("ray.tune.execution.class_cache", True),
        ("ray.air._internal.usage", True),
        ("rayon.execution", False),
    ],
)
def test_what_counts_as_inside_of_ray(module: str, is_inside: bool) -> None:
    assert is_inside_ray(module) == is_inside


def test_layers_need_torch_alone() -> None:
    for file in modules("normmods"):
        libraries = (
            {name.partition(".")[0] for name in imported_modules(file)}
            - set(sys.stdlib_module_names)
            - {"normmods"}
        )
        assert libraries <= {"torch"}, file


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
