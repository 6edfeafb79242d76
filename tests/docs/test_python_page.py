"""The sessions of docs/python.md give what the page shows."""

from __future__ import annotations

import doctest
from pathlib import Path

import pytest
from pages import ROOT, blocks


def test_every_session_gives_what_the_page_shows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path}/mlflow.db")
    sessions = [
        block.text for block in blocks(ROOT / "docs/python.md") if block.language == "pycon"
    ]
    test = doctest.DocTestParser().get_doctest("\n".join(sessions), {}, "python.md", None, 0)
    assert len(test.examples) > 15
    lines: list[str] = []
    options = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE
    doctest.DocTestRunner(optionflags=options).run(test, out=lines.append)
    assert not lines, "".join(lines)
