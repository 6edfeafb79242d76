"""Where the log messages of `analysis` go: nowhere, to standard error, to a file."""

from __future__ import annotations

import logging
import sys
import time
from pathlib import Path

FORMAT = "%(asctime)s %(levelname)s %(name)s [%(process)d] %(message)s"

logging.getLogger("analysis").addHandler(logging.NullHandler())


class PrintableFormatter(logging.Formatter):
    """Formats a message with its time in UTC, and without characters that command a terminal."""

    default_time_format = "%Y-%m-%dT%H:%M:%S"
    default_msec_format = "%s.%03dZ"

    def converter(self, seconds: float | None) -> time.struct_time:
        """Return a time since 1970 in UTC."""
        return time.gmtime(seconds)

    def format(self, record: logging.LogRecord) -> str:
        """Return the message as text; control characters are written out."""
        return "".join(
            c if c.isprintable() or c in "\n\t" else c.encode("unicode_escape").decode()
            for c in super().format(record)
        )


def log_to_stderr() -> None:
    """Print messages of level INFO and above to standard error from now on."""
    _add_handler(logging.getLogger("analysis"), logging.StreamHandler(sys.stderr), logging.INFO)


def log_to_file(path: Path) -> None:
    """Append messages of level DEBUG and above, and the warnings of libraries, to a file.

    Raises:
        OSError: the file cannot be opened for writing.
    """
    _add_handler(logging.getLogger(), logging.FileHandler(path, encoding="utf-8"), logging.DEBUG)


def _add_handler(logger: logging.Logger, handler: logging.Handler, level: int) -> None:
    """Add a handler of this level to a logger, with this program's format."""
    handler.setFormatter(PrintableFormatter(FORMAT))
    handler.setLevel(level)
    logger.addHandler(handler)
    package = logging.getLogger("analysis")
    package.setLevel(min(level, package.level or level))
