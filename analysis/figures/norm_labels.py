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
    r"""Return distinct short labels for norms in a figure, of letters that its font has.

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
    """Return a long name with its middle replaced by an ellipsis; its end holds the options."""
    return (
        f"{name[:10]}…{name[11 - MAX_LABEL_LETTERS :]}" if len(name) > MAX_LABEL_LETTERS else name
    )
