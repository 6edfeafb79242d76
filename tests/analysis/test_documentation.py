"""The documentation of the measures names every column as the schema has it."""

from __future__ import annotations

from pathlib import Path

from analysis.schema import REQUESTED_COLUMNS, TRIAL_COLUMNS

PAGE = Path(__file__).parents[2] / "docs" / "measures.md"


def test_every_column_is_documented_with_its_kind_unit_and_meaning() -> None:
    rows = {tuple(cell.strip() for cell in line.split("|")[1:-1]) for line in lines()}
    for column in (*TRIAL_COLUMNS, *REQUESTED_COLUMNS):
        needed = " **(needed)**" if column.required else ""
        expected = (f"`{column.name}`", column.kind, column.unit, column.meaning + needed)
        assert expected in rows


def test_its_pictures_are_there() -> None:
    pictures = [line.split("](")[1].rstrip(")") for line in lines() if line.startswith("![")]
    assert len(pictures) >= 4
    assert all((PAGE.parent / picture).is_file() for picture in pictures)


def lines() -> list[str]:
    return PAGE.read_text(encoding="utf-8").splitlines()
