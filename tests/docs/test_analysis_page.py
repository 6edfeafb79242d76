"""The page on the analysis from Python holds: its sessions print what they show."""

from __future__ import annotations

import doctest
import os
from pathlib import Path

import pytest
from pages import ROOT, blocks

PAGE = ROOT / "docs/analysis-from-python.md"


def test_every_session_prints_what_it_shows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    text = "\n".join(block.text for block in blocks(PAGE) if block.language == "pycon")
    example = doctest.DocTestParser().get_doctest(text, {}, PAGE.name, str(PAGE), 0)
    assert len(example.examples) > 10
    runner = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS)
    report: list[str] = []
    runner.run(example, out=report.append)
    assert not runner.failures, "".join(report)
    assert os.listdir("report/figures")
    assert Path("error.png").stat().st_size > 10_000
