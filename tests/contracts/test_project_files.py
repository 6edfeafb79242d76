"""The workflow, the changelog and the citation say what the Makefile and pyproject.toml say."""

from __future__ import annotations

import re
import tomllib
from datetime import date
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
WORKFLOWS = sorted((ROOT / ".github/workflows").glob("*.yml"))


def versions() -> list[tuple[str, date]]:
    """The dated sections of the changelog, from top to bottom."""
    text = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    headings = re.findall(r"^## (.+)$", text, re.M)
    assert headings[0] == "Unreleased"
    found = [heading.split(" - ") for heading in headings[1:]]
    return [(version, date.fromisoformat(day)) for version, day in found]


def matrix(workflow: Path) -> list[dict[str, Any]]:
    jobs = yaml.safe_load(workflow.read_text())["jobs"].values()
    return [
        row for job in jobs for row in job.get("strategy", {}).get("matrix", {}).get("include", [])
    ]


@pytest.mark.parametrize("workflow", WORKFLOWS, ids=lambda path: path.name)
def test_a_workflow_makes_only_what_the_makefile_can(workflow: Path) -> None:
    targets = set(re.findall(r"^([\w-]+(?: [\w-]+)*):(?!=)", (ROOT / "Makefile").read_text(), re.M))
    named = {name for line in targets for name in line.split()}
    typed = set(re.findall(r"\bmake ([\w-]+)", workflow.read_text()))
    assert "check" in typed
    assert typed | {row["target"] for row in matrix(workflow)} <= named


def test_the_oldest_python_that_is_promised_is_tested() -> None:
    (oldest,) = re.findall(r">=([\d.]+)", PROJECT["requires-python"])
    rows = {row["target"]: row["python"] for file in WORKFLOWS for row in matrix(file)}
    assert rows["test-oldest"] == oldest


def test_changelog_and_citation_name_the_version_and_its_day() -> None:
    dated = versions()
    assert dated == sorted(dated, key=lambda found: found[1], reverse=True)
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    cited = (citation["version"], date.fromisoformat(citation["date-released"]))
    assert cited == dated[0]
    assert PROJECT["version"] == dated[0][0]
    assert citation["license"] == PROJECT["license"]
