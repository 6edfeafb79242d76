"""`manifest.json`: what a report was made from, so that an unchanged one need not be made again."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path

MANIFEST = "manifest.json"


def manifest(made_from: str, headline: Sequence[str], files: Mapping[str, bytes]) -> bytes:
    """The manifest of `files` (content by path) made from the source with that fingerprint."""
    content = {
        "made_from": made_from,
        "headline": list(headline),
        "files": {name: _digest(content) for name, content in sorted(files.items())},
    }
    return json.dumps(content, indent=1, ensure_ascii=False).encode()


def unchanged(out: Path, made_from: str | None) -> list[str] | None:
    """The headline of the report in `out` if it was made from the same and is whole, else None."""
    try:
        content = json.loads((out / MANIFEST).read_bytes())
        same = made_from is not None and content["made_from"] == made_from
        files: dict[str, str] = content["files"]
        if same and all(_digest((out / name).read_bytes()) == of for name, of in files.items()):
            return [str(line) for line in content["headline"]]
    except (OSError, ValueError, KeyError, TypeError):
        pass
    return None


def files_in(out: Path) -> list[str]:
    """The files of the report in `out` by their paths in it; none where there is no report."""
    try:
        content = json.loads((out / MANIFEST).read_bytes())
        names = [*content["files"], MANIFEST] if "made_from" in content else []
    except (OSError, ValueError, KeyError, TypeError):
        return []
    home = out.resolve()
    return [name for name in names if (home / name).resolve().is_relative_to(home)]


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
