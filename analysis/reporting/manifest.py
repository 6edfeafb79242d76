"""`manifest.json`: digests of a report's source and files, to reuse an unchanged report."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path

MANIFEST_FILE = "manifest.json"


def format_manifest(
    source_digest: str, headline: Sequence[str], files: Mapping[str, bytes]
) -> bytes:
    """Return the manifest of `files` (content by path) made from the source with this digest."""
    content = {
        "made_from": source_digest,
        "headline": list(headline),
        "files": {name: _compute_digest(content) for name, content in sorted(files.items())},
    }
    return json.dumps(content, indent=1, ensure_ascii=False).encode()


def read_unchanged_headline(out: Path, source_digest: str | None) -> list[str] | None:
    """Return the headline of an unchanged report in `out`; None if source or files differ."""
    try:
        content = json.loads((out / MANIFEST_FILE).read_bytes())
        same = source_digest is not None and content["made_from"] == source_digest
        files: dict[str, str] = content["files"]
        if same and all(
            _compute_digest((out / name).read_bytes()) == of for name, of in files.items()
        ):
            return [str(line) for line in content["headline"]]
    except (OSError, ValueError, KeyError, TypeError):
        pass
    return None


def list_report_files(out: Path) -> list[str]:
    """Return the files of the report in `out` by their paths in it; empty without a report."""
    try:
        content = json.loads((out / MANIFEST_FILE).read_bytes())
        names = [*content["files"], MANIFEST_FILE] if "made_from" in content else []
    except (OSError, ValueError, KeyError, TypeError):
        return []
    home = out.resolve()
    return [name for name in names if (home / name).resolve().is_relative_to(home)]


def _compute_digest(content: bytes) -> str:
    """Return the SHA-256 of `content`."""
    return hashlib.sha256(content).hexdigest()
