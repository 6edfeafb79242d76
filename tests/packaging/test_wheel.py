"""What `python -m build` makes is complete: installed elsewhere, it does what the clone does."""

from __future__ import annotations

import os
import subprocess
import sys
import sysconfig
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGES = ("sweep", "normmods", "trainables", "analysis", "norm_sweep")
TINY = [
    *("--set", "train.epochs=1", "--set", "factors.seed=1", "--set", "factors.batch_size=[16,4]"),
    *("--set", "data.num_train=64", "--set", "data.num_test=40", "--set", "model.width=8"),
]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Built from the source distribution, and that from the clone."""
    out = tmp_path_factory.mktemp("dist")
    done = call(sys.executable, "-m", "build", "--no-isolation", "--outdir", out, ROOT, at=out)
    assert done.returncode == 0, done.stdout
    (built,) = out.glob("*.whl")
    return built


def call(*command: str | Path, at: Path) -> subprocess.CompletedProcess[str]:
    apart = ("MLFLOW_", "RAY_", "PYTHONPATH", "VIRTUAL_ENV")
    return subprocess.run(
        [str(part) for part in command],
        cwd=at,
        env={key: value for key, value in os.environ.items() if not key.startswith(apart)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=240,
    )


def test_every_file_of_the_packages_is_in_the_wheel_and_nothing_else(wheel: Path) -> None:
    names = {name for name in zipfile.ZipFile(wheel).namelist() if ".dist-info/" not in name}
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", *PACKAGES, "grids"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    files = {f.replace("grids/", "sweep/examples/", 1) for f in listed.stdout.splitlines()}
    assert names == files
    for package in PACKAGES:
        assert f"{package}/py.typed" in names


@pytest.mark.slow
def test_from_the_wheel_in_an_empty_folder_to_a_report(wheel: Path, tmp_path: Path) -> None:
    python = installed(wheel, tmp_path / "venv")
    empty = tmp_path / "empty"
    empty.mkdir()
    for command in (
        ["init", "--example", "quickstart"],
        ["plan", "grid.yaml", *TINY],
        ["run", "grid.yaml", *TINY],
    ):
        done = call(python.with_name("norm-sweep"), *command, at=empty)
        assert done.returncode == 0, done.stdout
    done = call(python, "-m", "analysis", "report", "quickstart", "--out", "report", at=empty)
    assert done.returncode == 0, done.stdout
    page = (empty / "report/report.html").read_text()
    assert all(norm in page for norm in ("batchnorm", "groupnorm", "assocnorm"))


def installed(wheel: Path, venv: Path) -> Path:
    """The Python of an environment with the wheel in it, and the dependencies of this one."""
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", venv], check=True)
    python = venv / "bin/python"
    uv = Path(sys.executable).with_name("uv")
    install = ("pip", "install", "--offline", "--no-deps", "--python", python, wheel)
    done = call(uv, *install, at=venv)
    assert done.returncode == 0, done.stdout
    place = "import sysconfig; print(sysconfig.get_path('purelib'))"
    site = Path(call(python, "-c", place, at=venv).stdout.strip())
    # A plain line: the folder is searched, and the clone that it may point to is not.
    (site / "dependencies.pth").write_text(sysconfig.get_path("purelib") + "\n")
    found = call(python, "-c", "import sweep; print(sweep.__file__)", at=venv)
    assert found.stdout.strip() == str(site / "sweep/__init__.py")
    return python
