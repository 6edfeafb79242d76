"""Where the log messages of this program go: nowhere, to standard error, to a file.

Modules log to `logging.getLogger(__name__)`. Without `configure_logging` no message is printed.
"""

from __future__ import annotations

import logging
import sys
import time
from dataclasses import dataclass, replace
from pathlib import Path

from sweep.errors import escape_invisible

LOGGED_PACKAGES = ("sweep", "trainables", "normmods")
FORMAT = "%(asctime)s %(levelname)s %(name)s [%(process)d] %(message)s"

for _package in LOGGED_PACKAGES:  # else Python prints warnings to standard error by itself
    logging.getLogger(_package).addHandler(logging.NullHandler())


@dataclass(frozen=True)
class LogOptions:
    """The logging options of a command, `--verbose` and `--log-file`.

    Attributes:
        verbose: whether messages of level INFO and above go to standard error.
        file: absolute path of a file to which messages of level DEBUG and above are appended, and
            the warnings of libraries; None for none.
    """

    verbose: bool = False
    file: str | None = None


class UtcFormatter(logging.Formatter):
    """Formats a message with its time in UTC, and without characters that command a terminal."""

    default_time_format = "%Y-%m-%dT%H:%M:%S"
    default_msec_format = "%s.%03dZ"

    def converter(self, seconds: float | None) -> time.struct_time:
        """Return a time since 1970 in UTC."""
        return time.gmtime(seconds)

    def format(self, record: logging.LogRecord) -> str:
        """Return the message as text; control characters are written out."""
        return escape_invisible(super().format(record))


class StderrHandler(logging.StreamHandler):  # type: ignore[type-arg]
    """A log handler that writes to the current `sys.stderr`, which a live view may replace."""

    def __init__(self) -> None:
        logging.Handler.__init__(self, logging.INFO)

    @property
    def stream(self) -> object:
        """The current standard error."""
        return sys.stderr


_options = LogOptions()
_handlers: list[tuple[logging.Logger, logging.Handler]] = []


def log_options() -> LogOptions:
    """Return this process's logging options, for a child process."""
    return _options


def log_arguments() -> list[str]:
    """Return this process's logging options as arguments of a command that this process starts."""
    verbose = ["--verbose"] if _options.verbose else []
    return [*verbose, *(["--log-file", _options.file] if _options.file else [])]


def log_to_stderr() -> None:
    """Print messages of level INFO and above to standard error from now on."""
    configure_logging(replace(_options, verbose=True))


def log_to_file(path: Path) -> None:
    """Append messages to a file from now on; raises `OSError` where it cannot be written."""
    configure_logging(replace(_options, file=str(path.absolute())))


def configure_logging(options: LogOptions) -> None:
    """Set this process's log handlers by the options, and remove the earlier handlers.

    Raises:
        OSError: the file cannot be opened for writing.
    """
    global _options
    file = None if options.file is None else logging.FileHandler(options.file, encoding="utf-8")
    for logger, handler in _handlers:
        logger.removeHandler(handler)
        handler.close()
    _handlers.clear()
    _options = options
    packages = [logging.getLogger(name) for name in LOGGED_PACKAGES]
    for logger in packages:
        logger.setLevel(logging.DEBUG if file else logging.INFO if options.verbose else 0)
    if options.verbose:
        for logger in packages:
            _add_handler(logger, StderrHandler())
    if file is not None:
        _add_handler(logging.getLogger(), file)  # where libraries' warnings arrive too


def _add_handler(logger: logging.Logger, handler: logging.Handler) -> None:
    """Add a handler to a logger, with this program's format."""
    handler.setFormatter(UtcFormatter(FORMAT))
    logger.addHandler(handler)
    _handlers.append((logger, handler))
