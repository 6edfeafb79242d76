"""What the documentation names is there, and what is there is named."""

from __future__ import annotations

import re
from pathlib import Path

import normmods

ROOT = Path(__file__).parents[2]


def test_every_norm_is_listed_with_its_options() -> None:
    table = (ROOT / "docs/norms.md").read_text().split("\n## ")[0]
    rows = re.findall(r"^\| `(\w+)` \| (.*?) \|", table, re.M)
    listed = {name: re.findall(r"`(\w+): ([^`]+)`", options) for name, options in rows}
    assert list(listed) == list(normmods.names())
    for name, options in listed.items():
        expected = [(key, str(value)) for key, value in normmods.options(name).items()]
        found = [(key, {"true": "True", "false": "False"}.get(v, v)) for key, v in options]
        assert found == expected


def test_links_lead_somewhere() -> None:
    pages = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *(ROOT / "docs").rglob("*.md")]
    for page in pages:
        for target in re.findall(r"\]\(([^)#:]+)\)", page.read_text()):
            assert (page.parent / target).exists(), f"{page.name} -> {target}"
