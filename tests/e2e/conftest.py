"""Fixtures: an empty folder, and sweeps in the background that end with the test."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from marked_processes import kill_marked, new_mark
from user_folder import Folder, Start


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    return Folder(tmp_path)


@pytest.fixture
def mark() -> Iterator[dict[str, str]]:
    """Marks what `start` starts; whatever descends from it is ended with the test."""
    variable = new_mark()
    yield variable
    kill_marked(variable)


@pytest.fixture
def start(folder: Folder, mark: dict[str, str]) -> Start:
    """Start a sweep in the background."""

    def _start(*arguments: str, **env: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, "-m", "sweep", *arguments],
            cwd=folder.path,
            env=folder.environment(**mark, **env),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )

    return _start
