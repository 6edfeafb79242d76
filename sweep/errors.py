"""What can go wrong before anything has started, and how it is said."""

from __future__ import annotations

import difflib
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import IntEnum

UNSEEN = ("Cc", "Cf", "Cs", "Zl", "Zp")
"""Unicode categories of what a terminal or a reader does not see as a character of a text."""


def escape_invisible(text: str) -> str:
    """The text with what a terminal would obey written out, but for line ends and tabs."""
    return "".join(
        f"\\x{ord(c):02x}" if unicodedata.category(c) in UNSEEN and c not in "\n\t" else c
        for c in text
    )


class ExitCode(IntEnum):
    """Exit codes of `norm-sweep run`, which docs/operations.md explains."""

    DONE = 0
    FAILED = 1
    TRIALS_FAILED = 1
    REFUSED = 2
    INCOMPLETE = 3
    NOT_TRACKED = 4


class RefusedError(Exception):
    """The command cannot be carried out; nothing was started. One line per message."""

    exit_code = ExitCode.REFUSED

    def __init__(self, *messages: str) -> None:
        super().__init__("\n".join(messages))
        self.messages = messages

    def __reduce__(self) -> tuple[type[RefusedError], tuple[str, ...]]:
        return type(self), self.messages


class NotStartedError(RefusedError):
    """What the command needs did not start; the same command may work later."""

    exit_code = ExitCode.INCOMPLETE


@dataclass(frozen=True, order=True)
class Problem:
    """One thing wrong with a grid. `line` counts from 1; 0 stands for the file as a whole."""

    line: int
    where: str
    what: str

    def text(self, path: str) -> str:
        """`grid.yaml:7: factors.norm[2]: …`, which editors and terminals make clickable."""
        place = f"{path}:{self.line}" if self.line else path
        return f"{place}: {self.where}: {self.what}" if self.where else f"{place}: {self.what}"


class GridError(RefusedError):
    """Everything wrong with a grid, in the order of its lines."""

    def __init__(self, path: str, problems: Iterable[Problem]) -> None:
        self.problems = tuple(sorted(set(problems)))
        super().__init__(*(problem.text(path) for problem in self.problems))


def suggest_nearest(word: str, known: Sequence[str]) -> str:
    """`; did you mean 'x'?` for the closest known word, else the list of what is known."""
    close = difflib.get_close_matches(word, known, n=1, cutoff=0.6)
    if close:
        return f"; did you mean '{close[0]}'?"
    return f"; known: {', '.join(known)}"
