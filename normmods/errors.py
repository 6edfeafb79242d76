"""What can be wrong with a name or options: each a `ValueError` with one clear line."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class NormError(ValueError):
    """A norm that cannot be had: the base of every error the registry raises."""


class UnknownNormError(NormError):
    """The name is neither registered nor of the form `package.module:attr`."""


class NormImportError(NormError):
    """The `package.module:attr` cannot be imported, or is nothing that can be called."""


class NormOptionError(NormError):
    """An option that the norm does not have, one it needs and was not given, or a wrong value."""


class WeightFormWarning(UserWarning):
    """A convolution or a norm that `normmods.prepare` leaves as it is; the message says why."""


class ImportPathError(ValueError):
    """A `package.module:attr` that cannot be had, whatever it was to be."""


def suggestion(word: str, candidates: Iterable[str]) -> str:
    """`; did you mean 'x'?` with the candidate nearest to `word`, or nothing if none is near."""
    nearest = difflib.get_close_matches(word, list(candidates), n=1)
    return f"; did you mean {nearest[0]!r}?" if nearest else ""
