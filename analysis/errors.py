"""What a user can put right: one clear line, shown without a traceback."""

from __future__ import annotations


class InputError(ValueError):
    """The source, an option or the output folder cannot be used; the message says why."""
