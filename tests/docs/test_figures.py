"""The documentation's figures of speed are those that were measured last."""

from __future__ import annotations

import re

import pytest

from benchmarks import page
from benchmarks.training import NORMS


@pytest.mark.parametrize("name", page.FILES)
def test_tables_show_what_was_measured(name: str) -> None:
    text = (page.ROOT / name).read_text(encoding="utf-8")
    assert page.BLOCK.search(text)
    assert page.filled(text) == text, "python -m benchmarks.page fills them in"


def test_every_block_is_shown_somewhere() -> None:
    texts = [(page.ROOT / name).read_text(encoding="utf-8") for name in page.FILES]
    shown = {name for text in texts for _, name, _ in page.BLOCK.findall(text)}
    assert shown == set(page.BLOCKS)


def test_each_norm_has_a_row_of_six_cells() -> None:
    rows = dict(re.findall(r"^\| (\w+) \| (\d.*) \|$", page.training(), re.MULTILINE))
    assert tuple(rows) == NORMS
    assert all(len(row.split("|")) == 6 for row in rows.values())


def test_a_column_of_numbers_is_to_the_right() -> None:
    made = page.table(["a", "b", ""], [["x", "1.00", ""], ["y", "", "2 ms"]])
    assert made.splitlines() == [
        "| a | b | |",
        "|---|--:|--:|",
        "| x | 1.00 | |",
        "| y | | 2 ms |",
    ]
