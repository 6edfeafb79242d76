"""What a page tells its reader to write and to type, in the order in which it does."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
_BLOCK = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


@dataclass(frozen=True)
class Block:
    """A block of code: its language, as the page has it, and its text."""

    language: str
    text: str

    @property
    def file(self) -> str | None:
        """The file that a first line such as `# my_layers.py` names."""
        named = re.match(r"# ([\w./-]+\.(?:py|yaml))\n", self.text)
        return named[1] if named else None

    @property
    def session(self) -> list[tuple[str, str]]:
        """A console's commands, each with the output that is shown for it."""
        parts = re.split(r"^\$ (.*)\n", self.text, flags=re.MULTILINE)
        return list(zip(parts[1::2], parts[2::2], strict=True))

    def applied_to(self, text: str) -> str:
        """The text after a `diff`: each run of lines with `-` gives way to those with `+`."""
        for old, new in re.findall(r"((?:^-.*\n)+)((?:^\+.*\n)+)", self._hunks, re.MULTILINE):
            before, after = (
                re.sub(r"^[-+]", "", lines, flags=re.MULTILINE) for lines in (old, new)
            )
            assert text.count(before) == 1, f"not once in the file: {before}"
            text = text.replace(before, after)
        return text

    @property
    def changed_file(self) -> str:
        """The file that a `diff` is about."""
        return self.text.partition("\n")[0].removeprefix("--- ")

    @property
    def _hunks(self) -> str:
        return self.text.partition("\n")[2]


def blocks(page: Path) -> list[Block]:
    """The blocks of code of a page."""
    return [Block(*found) for found in _BLOCK.findall(page.read_text(encoding="utf-8"))]
