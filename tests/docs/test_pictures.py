"""The small pictures of the measures are those that their program draws from today's measures."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

from pages import ROOT

DRAWN = ROOT / "docs/measures"


def test_each_is_drawn_shown_and_small(tmp_path: Path) -> None:
    subprocess.run([sys.executable, DRAWN / "draw.py", tmp_path], check=True)
    names = {file.name for file in tmp_path.iterdir()}
    assert names == {file.name for file in DRAWN.glob("*.svg")}
    page = (ROOT / "docs/measures.md").read_text(encoding="utf-8")
    assert names == set(re.findall(r"\]\(measures/([\w-]+\.svg)\)", page))
    assert all(file.stat().st_size < 200_000 for file in tmp_path.iterdir())


def test_their_numbers_are_those_of_the_formulas(tmp_path: Path) -> None:
    """By hand for the two curves that the page describes, within the seeds' noise."""
    code = (
        f"import sys; sys.path.insert(0, {str(DRAWN)!r}); import draw as d; "
        "table = d.TABLES['steep']; "
        "print(d.compute_auec(table).mean(), d.compute_slope(table).mean(), "
        "d.compute_regret(d.TABLES).loc['steep', 2], d.compute_safe_range(table, d.MARGIN))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    area, rise, regret, octaves = map(float, done.stdout.split())
    # 6 + 0.12 L^2 on L = 0 to 5: trapezoids give 6 + 0.12 (55 - 12.5) / 5, least squares 0.12 x 5.
    assert abs(area - 7.02) < 0.2
    assert abs(rise - 0.6) < 0.1
    assert abs(regret - (9.0 - 7.65)) < 0.4
    assert octaves == 2
