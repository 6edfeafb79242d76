"""Norms' names as a figure has room and glyphs for them."""

from __future__ import annotations

from collections.abc import Sequence
from unicodedata import category

from matplotlib.font_manager import findfont, get_font

FONT = "DejaVu Sans"
WIDTH = 28
"""Letters of a name that are drawn; a longer one loses its middle."""
CONTROLS = {"Cc", "Cf", "Cs", "Zl", "Zp"}


def drawn_names(norms: Sequence[str]) -> list[str]:
    """The names as they are drawn: short, of letters that the font has, and no two alike.

    A letter without a glyph, or one that would command, is drawn as its number (`\\u7fa4`).
    """
    names: list[str] = []
    for norm in norms:
        name = _shortened(_with_glyphs(norm))
        alike = sum(other.partition(" #")[0] == name for other in names)
        names.append(f"{name} #{alike + 1}" if alike else name)
    return names


def _with_glyphs(name: str) -> str:
    if name.isascii() and name.isprintable():
        return name
    font = get_font(findfont(FONT))
    return "".join(
        letter
        if font.get_char_index(ord(letter)) and category(letter) not in CONTROLS
        else letter.encode("unicode_escape").decode()
        for letter in name
    )


def _shortened(name: str) -> str:
    """`name` without its middle where it is too long: options that tell norms apart come last."""
    return f"{name[:10]}…{name[11 - WIDTH :]}" if len(name) > WIDTH else name
