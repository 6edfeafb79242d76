"""What a node of a cluster has installed.

Ray sends this module to nodes by value, since a node may lack this project. It imports the standard
library alone, so that it runs wherever Ray does.
"""

from __future__ import annotations

import hashlib
import importlib
import importlib.metadata
import importlib.util
import platform
from pathlib import Path

PACKAGES = ("norm-sweep", "ray", "torch", "torchvision", "numpy")
TRAINING_PACKAGES = ("sweep", "trainables", "normmods")


def installed_software() -> dict[str, str | None]:
    """Return the versions of what decides a trial's result, and a digest of this project's code.

    None stands for what is not installed.
    """
    found: dict[str, str | None] = {"Python": ".".join(platform.python_version_tuple()[:2])}
    for package in PACKAGES:
        try:
            found[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            found[package] = None
    found["norm-sweep's code"] = _code_digest()
    return found


def sees_cuda() -> bool:
    """Whether PyTorch can use a GPU here."""
    torch = importlib.import_module("torch")
    return bool(torch.cuda.is_available())


def _code_digest() -> str | None:
    """Return 12 hex digits that name the project's Python files; None if it is not installed."""
    digest = hashlib.sha256()
    for name in TRAINING_PACKAGES:
        spec = importlib.util.find_spec(name)
        if spec is None or not spec.submodule_search_locations:
            return None
        folder = Path(next(iter(spec.submodule_search_locations)))
        for file in sorted(folder.rglob("*.py")):
            digest.update(file.relative_to(folder).as_posix().encode())
            digest.update(file.read_bytes())
    return digest.hexdigest()[:12]
