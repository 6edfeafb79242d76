"""Which test examples a trial had right, as it kept them beside its record: `correct.npy`."""

from __future__ import annotations

from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np

from analysis.sources.raw_results import Bits


def read_bits(file: Path | BytesIO) -> Bits | None:
    """The packed bits, shape `(ceil(num_test / 8),)`; None where there are none to be read.

    Without them the report says less, so a file that is absent or damaged is no error.
    """
    try:
        content: Any = np.load(file, allow_pickle=False)
    except (OSError, ValueError, EOFError):
        return None
    whole = isinstance(content, np.ndarray) and content.dtype == np.uint8 and content.ndim == 1
    return content if whole else None
