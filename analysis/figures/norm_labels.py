"""Norms' labels as a figure has space and glyphs for them."""

from __future__ import annotations

from collections.abc import Sequence
from unicodedata import category

from matplotlib.font_manager import findfont, get_font

FONT = "DejaVu Sans"
MAX_LABEL_LETTERS = 28
"""Letters of a label, at most; a longer name loses its middle."""
CONTROL_CATEGORIES = {"Cc", "Cf", "Cs", "Zl", "Zp"}


def make_figure_labels(norms: Sequence[str]) -> list[str]:
    r"""Return labels for a figure: short, of letters that the font has, and no two equal.

    A letter without a glyph, or a control character, is written as its number (`\\u7fa4`).
    """
    names: list[str] = []
    for norm in norms:
        name = _shorten(_escape_missing_glyphs(norm))
        alike = sum(other.partition(" #")[0] == name for other in names)
        names.append(f"{name} #{alike + 1}" if alike else name)
    return names


def _escape_missing_glyphs(name: str) -> str:
    """Return `name` with letters that the font lacks, and control characters, escaped."""
    if name.isascii() and name.isprintable():
        return name
    font = get_font(findfont(FONT))
    return "".join(
        letter
        if font.get_char_index(ord(letter)) and category(letter) not in CONTROL_CATEGORIES
        else letter.encode("unicode_escape").decode()
        for letter in name
    )


def _shorten(name: str) -> str:
    """Return `name` without its middle where too long: options that distinguish norms come last."""
    return (
        f"{name[:10]}…{name[11 - MAX_LABEL_LETTERS :]}" if len(name) > MAX_LABEL_LETTERS else name
    )
