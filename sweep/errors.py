"""The exceptions of `sweep`, the exit codes of its commands, and the texts of their messages."""

from __future__ import annotations

import difflib
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from enum import IntEnum

INVISIBLE_CATEGORIES = ("Cc", "Cf", "Cs", "Zl", "Zp")
"""Unicode categories of characters that a terminal obeys, or that nobody sees."""


def escape_invisible(text: str) -> str:
    r"""Return the text with control characters as escapes (`\x1b`), except line ends and tabs."""
    return "".join(
        f"\\x{ord(c):02x}"
        if unicodedata.category(c) in INVISIBLE_CATEGORIES and c not in "\n\t"
        else c
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


class SweepError(Exception):
    """Base of all exceptions that the functions of `sweep` raise.

    Attributes:
        messages: what is wrong and what to do, one line each.
        exit_code: the exit code of a command that raises this.
    """

    exit_code = ExitCode.REFUSED

    def __init__(self, *messages: str) -> None:
        super().__init__("\n".join(messages))
        self.messages = messages

    def __reduce__(self) -> tuple[type[SweepError], tuple[str, ...]]:
        return type(self), self.messages


class RefusedError(SweepError):
    """A check failed before anything was started; the messages say what to change."""


class StorageError(SweepError):
    """A file or an object store that is needed cannot be read or written."""


class NotStartedError(RefusedError):
    """A service that is needed, such as Ray, did not start; a later call may succeed."""

    exit_code = ExitCode.INCOMPLETE


@contextmanager
def raise_sweep_errors() -> Iterator[None]:
    """Within the block, raise errors of files and a `sys.exit` of custom code as `SweepError`s.

    `BrokenPipeError` is raised unchanged: it says that nobody reads what is printed.
    """
    try:
        yield
    except BrokenPipeError:
        raise
    except OSError as error:
        text = f"{error.filename}: {error.strerror}" if error.filename else str(error)
        raise StorageError(" ".join(text.split())) from error
    except SystemExit as error:
        raise RefusedError(f"a module of this grid asks Python to exit ({error})") from error


@dataclass(frozen=True, order=True)
class Problem:
    """One error in a grid, with its line from 1; line 0 stands for the whole file."""

    line: int
    where: str
    what: str

    def text(self, path: str) -> str:
        """Return `grid.yaml:7: factors.norm[2]: …`, which editors and terminals make clickable.

        Without a path, as for a grid that is a mapping: `factors.norm[2]: …`.
        """
        place = f"{path}:{self.line}" if self.line else path
        return ": ".join(part for part in (place, self.where, self.what) if part)


class GridError(RefusedError):
    """All errors of a grid, in the order of its lines.

    Attributes:
        problems: each error with its line and its dotted key (`factors.norm[2]`).
    """

    def __init__(self, path: str, problems: Iterable[Problem]) -> None:
        self.problems = tuple(sorted(set(problems)))
        super().__init__(*(problem.text(path) for problem in self.problems))


def suggest_nearest(word: str, known: Sequence[str]) -> str:
    """Return `; did you mean 'x'?` for the known word closest to `word`, else a list of them."""
    close = difflib.get_close_matches(word, known, n=1, cutoff=0.6)
    if close:
        return f"; did you mean '{close[0]}'?"
    return f"; known: {', '.join(known)}"
