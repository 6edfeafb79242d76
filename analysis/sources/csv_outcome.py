"""What became of a row's trial, by a column that other programs call `State` or `status`."""

from __future__ import annotations

import pandas as pd

from analysis.errors import InputError

NAMES = ("state", "status")
OUTCOMES = {
    "completed": ("completed", "finished", "success", "succeeded", "terminated", "done", "ok"),
    "failed": (
        "failed",
        "crashed",
        "killed",
        "error",
        "errored",
        "cancelled",
        "canceled",
        "aborted",
        "preempted",
        "preempting",
        "stopped",
        "timeout",
        "node_fail",
    ),
    "running": ("running", "pending", "queued", "scheduled", "paused"),
    "diverged": ("diverged", "nan"),
    "out_of_memory": ("out_of_memory", "oom"),
}
"""By outcome the words for it, in small letters: of Weights & Biases, MLflow, Ray and Slurm."""
_MEANING = {word: outcome for outcome, words in OUTCOMES.items() for word in words}


def with_outcome(raw: pd.DataFrame) -> tuple[pd.DataFrame, list[str]]:
    """The rows with `outcome` read from such a column where there is none, and a line that says so.

    Raises `InputError` for a word that stands for no outcome. An empty cell says nothing.

    >>> with_outcome(pd.DataFrame({"State": ["finished", "crashed"]}))[0]["outcome"].tolist()
    ['completed', 'failed']
    """
    named = [str(name) for name in raw.columns if str(name).lower() in NAMES]
    if "outcome" in raw.columns or not named or raw[named[0]].isna().all():
        return raw, []
    words = raw[named[0]].fillna("").astype(str).str.strip().str.lower()
    unknown = sorted(set(words) - set(_MEANING) - {""})
    if unknown:
        raise InputError(
            f"column `{named[0]}` must say how each trial ended (finished, crashed, running, …), "
            f"but holds {unknown[0]!r}; write the column `outcome` instead, or drop `{named[0]}` "
            "if it is about something else"
        )
    outcomes = words.map(_MEANING).fillna("")
    counts = [f"{n} {outcome}" for outcome, n in outcomes[outcomes != ""].value_counts().items()]
    said = f"Column `{named[0]}` is read as the outcome: {', '.join(counts)}."
    left = outcomes.isin(["failed", "running", "out_of_memory"]).sum()
    said += f" {left} rows without a result are not compared." if left else ""
    return raw.drop(columns=named[0]).assign(outcome=outcomes), [said]
