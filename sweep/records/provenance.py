"""The code, the packages and the machine that a result comes from."""

from __future__ import annotations

import importlib.metadata
import platform
import socket
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from sweep.records.json_fields import JsonFields

PACKAGES = ("torch", "torchvision", "ray", "mlflow", "numpy", "norm-sweep")


@dataclass(frozen=True, kw_only=True)
class Provenance(JsonFields):
    """The code, the packages and the machine that trained a trial; empty before its first attempt.

    Attributes:
        code_version: what `code_version` returned.
        python: version of Python.
        packages: version of each installed package of `PACKAGES`.
        platform: operating system, kernel and C library.
        host: name of the machine.
        device: `cpu` or `cuda`.
    """

    code_version: str | None = None
    python: str | None = None
    packages: Mapping[str, str] | None = None
    platform: str | None = None
    host: str | None = None
    device: str | None = None


@lru_cache
def code_version() -> str:
    """Return the version and commit of this program.

    `-dirty` is appended where a clone has uncommitted changes; an installed program has no commit.
    """
    version = _find_version("norm-sweep") or "unknown"
    folder = Path(__file__).resolve().parent.parent
    if not (folder / ".git").exists():
        return version
    described = _run_git(folder, "describe", "--always", "--dirty", "--abbrev=12", "--exclude=*")
    return f"{version}+{described}" if described else version


def collect_provenance(device: str) -> Provenance:
    """Return the provenance of a trial that this process trains on `device`."""
    return Provenance(
        code_version=code_version(),
        python=platform.python_version(),
        packages=dict(_installed_packages()),
        platform=platform.platform(),
        host=socket.gethostname(),
        device=device,
    )


@lru_cache  # finding the versions takes longer than a short trial's first step
def _installed_packages() -> tuple[tuple[str, str], ...]:
    """Return the name and version of each of `PACKAGES` that is installed."""
    found = ((name, _find_version(name)) for name in PACKAGES)
    return tuple((name, version) for name, version in found if version)


def _find_version(package: str) -> str | None:
    """Return the installed version of a package, None if it is not installed."""
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


def _run_git(folder: Path, *arguments: str) -> str:
    """Return what a git command prints, empty if it fails or there is no git."""
    try:
        done = subprocess.run(
            ["git", "-C", str(folder), *arguments], capture_output=True, text=True, timeout=10
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""
