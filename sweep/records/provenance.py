"""Where a result comes from: code, packages, machine."""

from __future__ import annotations

import importlib.metadata
import platform
import socket
import subprocess
from functools import lru_cache
from pathlib import Path
from typing import Any

PACKAGES = ("torch", "torchvision", "ray", "mlflow", "numpy", "norm-sweep")


@lru_cache
def code_version() -> str:
    """Version and commit, `-dirty` with uncommitted changes; the bare version if installed."""
    version = _version("norm-sweep") or "unknown"
    folder = Path(__file__).resolve().parent.parent
    if not (folder / ".git").exists():
        return version
    described = _git(folder, "describe", "--always", "--dirty", "--abbrev=12", "--exclude=*")
    return f"{version}+{described}" if described else version


def collect_provenance(device: str) -> dict[str, Any]:
    """What a record keeps of the code, the packages and the machine."""
    return {
        "code_version": code_version(),
        "python": platform.python_version(),
        "packages": dict(_packages()),
        "platform": platform.platform(),
        "host": socket.gethostname(),
        "device": device,
    }


@lru_cache
def _packages() -> tuple[tuple[str, str], ...]:
    """Names and versions, read once: finding them takes longer than a short trial's first step."""
    found = ((name, _version(name)) for name in PACKAGES)
    return tuple((name, version) for name, version in found if version)


def _version(package: str) -> str | None:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


def _git(folder: Path, *arguments: str) -> str:
    try:
        done = subprocess.run(
            ["git", "-C", str(folder), *arguments], capture_output=True, text=True, timeout=10
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""
