"""The site is built from this repository alone, and its links and its reference are complete."""

from __future__ import annotations

import dataclasses
import importlib
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from urllib.parse import urldefrag, urljoin

import pytest
from pages import ROOT

from trainables.spec import TrialSpec

pytest.importorskip("mkdocs", reason="the extra `docs` is not installed")

PARTS = ("docs", "clusters", "grids", "sweep", "normmods", "trainables", "analysis")
FILES = ("mkdocs.yml", "README.md", "CHANGELOG.md", "CONTRIBUTING.md")


def build(project: Path, out: Path) -> subprocess.CompletedProcess[str]:
    command = ("build", "--strict", "--config-file", project / "mkdocs.yml")
    return subprocess.run(
        [sys.executable, "-m", "mkdocs", *command, "--site-dir", out],
        cwd=project,
        env={**os.environ, "NO_MKDOCS_2_WARNING": "1"},
        capture_output=True,
        text=True,
    )


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("site")
    done = build(ROOT, out)
    assert done.returncode == 0, done.stderr
    return out


def test_every_public_name_is_in_the_reference(site: Path) -> None:
    for package in ("normmods", "trainables", "sweep", "analysis"):
        page = (site / f"reference/{package}.html").read_text(encoding="utf-8")
        described = set(re.findall(r'<h2 id="([\w.]+)"', page))
        public = importlib.import_module(package).__all__
        assert {f"{package}.{name}" for name in public} <= described


def test_the_fields_of_a_spec_are_described_in_the_reference(site: Path) -> None:
    page = (site / "reference/trainables.html").read_text(encoding="utf-8")
    for field in dataclasses.fields(TrialSpec):
        assert f'id="trainables.TrialSpec.{field.name}"' in page
        assert str(TrialSpec.__pydantic_fields__[field.name].description) in page  # type: ignore[attr-defined]


def test_no_page_loads_anything_from_elsewhere(site: Path) -> None:
    for page in site.rglob("*.html"):
        text = page.read_text(encoding="utf-8")
        loaded = re.findall(r'<(?:script|img|iframe|source)\b[^>]*\bsrc="([^"]+)"', text)
        loaded += re.findall(r'<link\b[^>]*\brel="(?:stylesheet|preconnect|icon)"[^>]*>', text)
        assert loaded
        assert not [tag for tag in loaded if "//" in tag], page.name


def test_every_link_within_the_site_leads_to_a_file(site: Path) -> None:
    for page in site.rglob("*.html"):
        if page.name == "404.html":  # its links begin at the root of a server
            continue
        for link in re.findall(r'\b(?:href|src)="([^"]+)"', page.read_text(encoding="utf-8")):
            if not re.match(r"[a-z]+:|//", link):
                target = urldefrag(urljoin(page.as_uri(), link)).url.removeprefix("file://")
                assert Path(target).exists(), f"{page.relative_to(site)} -> {link}"


def test_what_lies_outside_the_documentation_is_linked_as_the_repository_has_it(
    site: Path,
) -> None:
    """A page, a file, and a link that leads nowhere: from docs/ to the folders beside it."""
    assert 'href="changelog.html"' in (site / "operations.html").read_text(encoding="utf-8")
    assert 'href="scale.html"' in (site / "tracking-server.html").read_text(encoding="utf-8")


def test_a_file_is_copied_and_a_link_that_leads_nowhere_is_refused(tmp_path: Path) -> None:
    project, out = tmp_path / "project", tmp_path / "site"
    for part in PARTS:
        ignored = shutil.ignore_patterns("__pycache__")
        shutil.copytree(ROOT / part, project / part, ignore=ignored)
    for file in FILES:
        shutil.copy(ROOT / file, project)
    with (project / "docs/scale.md").open("a", encoding="utf-8") as page:
        page.write("\n[a grid](../grids/quickstart.yaml), [no page](no-such-page.md),")
        page.write(
            " [no file](../grids/no-such-grid.yaml), [no heading](speed.md#no-such-heading)\n"
        )
    done = build(project, out)
    grid = (ROOT / "grids/quickstart.yaml").read_bytes()
    assert (out / "files/grids/quickstart.yaml").read_bytes() == grid
    assert done.returncode != 0
    warnings = [line for line in done.stderr.splitlines() if line.startswith("WARNING")]
    assert len(warnings) == 3
    for name in ("no-such-page.md", "no-such-grid.yaml", "no-such-heading"):
        assert any(name in line for line in warnings)
