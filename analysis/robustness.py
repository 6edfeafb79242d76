"""How a norm holds up as the batch gets small: measures over errors by batch size.

Every measure is computed per seed and then summarised over seeds. `errors` is one norm's table
from `error_table`: one row per seed, one column per batch size, large to small, percent.
`L = log2(b_max / b)` counts the halvings of the batch size.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd


def error_table(scored: pd.DataFrame, norm: str, batch_sizes: Sequence[int]) -> pd.DataFrame:
    """Errors (percent) of `norm`: rows are seeds, columns `batch_sizes` as given; NaN if absent."""
    rows = scored[(scored["norm"] == norm) & scored["batch_size"].isin(batch_sizes)]
    table = rows.pivot(index="seed", columns="batch_size", values="error")
    return table.reindex(columns=list(batch_sizes)).astype(float)


def halvings(batch_sizes: Sequence[int] | pd.Index[Any]) -> npt.NDArray[np.float64]:
    """`L = log2(b_max / b)` of each batch size."""
    sizes = np.asarray(batch_sizes, dtype=float)
    result: npt.NDArray[np.float64] = np.log2(sizes.max() / sizes)
    return result


def auec(errors: pd.DataFrame) -> pd.Series[float]:
    """Area under error against L by trapezoids, divided by the range of L: percent, per seed.

    A mean error over batch sizes on the log axis. Missing where a seed lacks a batch size; for
    a single batch size it is that error.
    """
    steps = halvings(errors.columns)
    if len(steps) == 1:
        return errors.iloc[:, 0]
    area = np.trapezoid(errors.to_numpy(), steps, axis=1) / np.ptp(steps)
    return pd.Series(area, index=errors.index)
