"""Messages to a person: a line of text with its level, which an observer displays."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Level(StrEnum):
    """The severity of a message."""

    INFO = "info"
    NOTE = "note"
    WARNING = "warning"
    ERROR = "error"


@dataclass(frozen=True)
class Message:
    """A line of text for a person.

    Attributes:
        level: `info` of progress, `note` of a peculiarity, `warning` of a likely mistake, `error`
            of what ends a sweep.
        text: the line, without its level.
    """

    level: Level
    text: str
