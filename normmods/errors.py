"""What can be wrong with a norm's name or options: each a `ValueError` with one clear line."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class NormError(ValueError):
    """A norm that cannot be had: the base of every error the registry raises."""


class UnknownNormError(NormError):
    """The name is neither registered nor of the form `package.module:attr`."""


class NormModuleNotFoundError(NormError):
    """The module of a `package.module:attr` does not exist."""


class NormImportError(NormError):
    """The module of a `package.module:attr` exists and raises while it is imported."""


class NormAttributeError(NormError):
    """The module of a `package.module:attr` has no such attribute."""


class NormNotCallableError(NormError):
    """The attribute of a `package.module:attr` cannot be called to build a layer."""


class NormOptionError(NormError):
    """An option that the norm does not have, or one it needs and was not given."""


def suggestion(word: str, candidates: Iterable[str]) -> str:
    """`; did you mean 'x'?` with the candidate nearest to `word`, or nothing if none is near."""
    nearest = difflib.get_close_matches(word, list(candidates), n=1)
    return f"; did you mean {nearest[0]!r}?" if nearest else ""
