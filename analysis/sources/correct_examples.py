"""Reader of `correct.npy`: which test examples a trial classified correctly."""

from __future__ import annotations

from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np

from analysis.sources.raw_results import PackedBits


def read_correct_examples(file: Path | BytesIO) -> PackedBits | None:
    """Return the packed bits of `correct.npy`, shape `(ceil(num_test / 8),)`; None if unreadable.

    A missing or damaged file is no error: the report leaves out the table that needs it.
    """
    try:
        content: Any = np.load(file, allow_pickle=False)
    except (OSError, ValueError, EOFError):
        return None
    whole = isinstance(content, np.ndarray) and content.dtype == np.uint8 and content.ndim == 1
    return content if whole else None
