"""How a command says that it cannot be carried out."""

from __future__ import annotations

import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import typer

from sweep.errors import ExitCode, RefusedError, escape_invisible

logger = logging.getLogger(__name__)


@contextmanager
def exit_on_error() -> Iterator[None]:
    """Turn refusals into lines on stderr and exit code 2."""
    from sweep.records.record import RecordDamagedError

    try:
        yield
    except RefusedError as error:
        logger.error("refused: %s", error)
        for message in error.messages:
            print(escape_invisible(message), file=sys.stderr)
        raise typer.Exit(error.exit_code) from None
    except RecordDamagedError as error:
        print(escape_invisible(str(error)), file=sys.stderr)
        raise typer.Exit(ExitCode.REFUSED) from None
    except BrokenPipeError:
        raise
    except OSError as error:  # storage that cannot be reached, most of the time
        told = f"{error.filename}: {error.strerror}" if error.filename else str(error)
        print(escape_invisible(" ".join(told.split())), file=sys.stderr)
        raise typer.Exit(ExitCode.REFUSED) from None
    except SystemExit as error:
        print(f"a module of this grid asks Python to exit ({error})", file=sys.stderr)
        raise typer.Exit(ExitCode.REFUSED) from None
