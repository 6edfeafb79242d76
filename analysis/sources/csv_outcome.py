"""Reader of a trial's outcome from a column that other programs call `State` or `status`."""

from __future__ import annotations

import pandas as pd

from analysis.errors import AnalysisError

OUTCOME_COLUMNS = ("state", "status")
OUTCOME_WORDS = {
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
_MEANING = {word: outcome for outcome, words in OUTCOME_WORDS.items() for word in words}


def add_outcome(raw: pd.DataFrame) -> tuple[pd.DataFrame, list[str]]:
    """Return the rows with a column `outcome` read from `State` or `status`, and a line on it.

    The rows are unchanged where `outcome` exists or neither column does. Empty cells give no
    outcome.

    Raises:
        AnalysisError: a word stands for no outcome.

    >>> add_outcome(pd.DataFrame({"State": ["finished", "crashed"]}))[0]["outcome"].tolist()
    ['completed', 'failed']
    """
    named = [str(name) for name in raw.columns if str(name).lower() in OUTCOME_COLUMNS]
    if "outcome" in raw.columns or not named or raw[named[0]].isna().all():
        return raw, []
    words = raw[named[0]].fillna("").astype(str).str.strip().str.lower()
    unknown = sorted(set(words) - set(_MEANING) - {""})
    if unknown:
        raise AnalysisError(
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
