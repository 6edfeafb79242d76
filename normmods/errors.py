"""Errors about a norm's name or options, each a `ValueError` with a one-line message."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class NormError(ValueError):
    """A norm that cannot be built: the base of every error of the registry."""


class UnknownNormError(NormError):
    """A name that is neither registered nor of the form `package.module:attr`."""


class NormImportError(NormError):
    """A `package.module:attr` that cannot be imported or called."""


class NormOptionError(NormError):
    """An unknown option, a missing required option, or a wrong value."""


class WeightFormWarning(UserWarning):
    """A convolution or norm that `normmods.prepare` leaves unchanged; the message says why."""


class ImportPathError(ValueError):
    """A `package.module:attr` that cannot be imported or called, whatever it names."""


def suggest_name(word: str, candidates: Iterable[str]) -> str:
    """Return `; did you mean 'x'?` with the candidate nearest to `word`, or "" if none is near."""
    nearest = difflib.get_close_matches(word, list(candidates), n=1)
    return f"; did you mean {nearest[0]!r}?" if nearest else ""
