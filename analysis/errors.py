"""The family of errors that the analysis raises."""

from __future__ import annotations


class AnalysisError(ValueError):
    """A source, an option or an output folder cannot be used; the message says why in one line."""
