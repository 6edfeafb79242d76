from __future__ import annotations

import subprocess
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path

import pytest

import sweep.records.provenance
from sweep.records.provenance import code_version, collect_provenance


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The folder that the program is installed in."""
    monkeypatch.setattr(
        sweep.records.provenance, "__file__", str(tmp_path / "sweep" / "provenance.py")
    )
    code_version.cache_clear()
    yield tmp_path
    code_version.cache_clear()


def git(folder: Path, *arguments: str) -> str:
    who = ["-c", "user.name=n", "-c", "user.email=n@example.org", "-c", "commit.gpgsign=false"]
    command = ["git", "-C", str(folder), *who, *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


def test_without_a_repository_the_version_stands_alone(installed: Path) -> None:
    assert code_version() == version("norm-sweep")


def test_a_checkout_adds_its_commit_and_whether_it_was_changed(installed: Path) -> None:
    git(installed, "init", "-q")
    (installed / "file").write_text("one")
    git(installed, "add", "file")
    git(installed, "commit", "-qm", "first")
    commit = git(installed, "rev-parse", "--short=12", "HEAD")
    assert code_version() == f"{version('norm-sweep')}+{commit}"
    (installed / "file").write_text("two")
    code_version.cache_clear()
    assert code_version() == f"{version('norm-sweep')}+{commit}-dirty"


def test_without_git_the_version_stands_alone(
    installed: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (installed / ".git").mkdir()
    monkeypatch.setenv("PATH", "")
    assert code_version() == version("norm-sweep")


def test_a_record_keeps_the_packages_and_the_machine() -> None:
    found = collect_provenance("cpu")
    assert found.device == "cpu"
    assert found.packages is not None
    assert found.packages["ray"] == version("ray")
    written = ["code_version", "python", "packages", "platform", "host", "device"]
    assert list(found.to_json()) == written
