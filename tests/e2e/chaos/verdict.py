"""What was done to the sweeps, what became of them, and the count of what should not be."""

from __future__ import annotations

import math
import sqlite3
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

TIMES = {"timestamp_ms", "train_s", "eval_s", "seconds_to_threshold"}
NOT_METRICS = {"epoch", "timestamp_ms"}
FOREIGN = ("Traceback", "(raylet)", "WARNING", "ERROR", "View run", "View experiment")

Records = dict[str, dict[str, Any]]


@dataclass
class Verdict:
    """The tally of all rounds. `faults` must all be zero; `ends` counts how `run` ended."""

    rounds: int = 0
    trials: int = 0
    epochs: int = 0
    kills: Counter[str] = field(default_factory=Counter)
    outages: Counter[str] = field(default_factory=Counter)
    refused_drivers: int = 0
    ends: Counter[str] = field(default_factory=Counter)
    faults: Counter[str] = field(default_factory=Counter)
    details: list[str] = field(default_factory=list)

    def fault(self, name: str, count: int, detail: str) -> None:
        """Note what should not have happened, unless it happened zero times."""
        if count:
            self.faults[name] += count
            self.details.append(f"{name}: {detail}")

    def report(self, minutes: float) -> str:
        """The verdict as a page of text."""
        lines = [f"{minutes:.0f} minutes, {self.rounds} sweeps"]
        counts = {"trials": self.trials, "epochs": self.epochs}
        lines += _table({**counts, "second drivers refused": self.refused_drivers})
        lines += ["kills and interruptions", *_table(self.kills)]
        lines += ["MLflow outages", *_table(self.outages)]
        lines += ["how `run` ended", *_table(self.ends)]
        lines += ["what it cost", *_table({name: self.faults[name] for name in FAULTS})]
        lines += [f"  {detail}" for detail in self.details[:40]]
        return "\n".join(lines)


FAULTS = (
    "epochs lost",
    "epochs repeated",
    "trials without outcome",
    "trials whose bits differ",
    "MLflow runs missing or double",
    "MLflow rows missing",
    "MLflow rows double",
    "MLflow rows other than recorded",
    "runs with a wrong status",
    "unexpected exit codes",
    "sweeps that hung",
    "processes left behind",
    "foreign lines",
)


def _table(counts: dict[str, int] | Counter[str]) -> list[str]:
    return [f"  {name:<36} {count:>6}" for name, count in counts.items()] or ["  none"]


def bits(record: dict[str, Any] | None) -> Any:
    """What must be the same to the bit: every metric of every epoch, and the weights."""
    if record is None:
        return None
    epochs = [{k: v for k, v in epoch.items() if k not in TIMES} for epoch in record["epochs"]]
    return record["outcome"], epochs, record["weights_digest"]


def judge_records(verdict: Verdict, records: Records, truth: Records) -> None:
    """Hold the records of a sweep that is through against the undisturbed one's."""
    verdict.trials += len(records)
    verdict.epochs += sum(len(record["epochs"]) for record in records.values())
    for trial_id, record in truth.items():
        found = records.get(trial_id)
        verdict.fault("trials without outcome", not (found and found["outcome"]), trial_id)
        verdict.fault("trials whose bits differ", bits(found) != bits(record), trial_id)


def judge_store(verdict: Verdict, store: Path, records: Records, *, through: bool) -> None:
    """Hold the rows of an MLflow store against the records."""
    with sqlite3.connect(store) as connection:
        query = "select value, run_uuid, status from runs join tags using (run_uuid) where "
        query += "key = 'sweep.trial_id' and lifecycle_stage = 'active'"
        runs = connection.execute(query).fetchall()
        rows = connection.execute("select run_uuid, key, step, value from metrics").fetchall()
    found = Counter(trial_id for trial_id, _, _ in runs)
    begun = [trial_id for trial_id, record in records.items() if record["attempts"]]
    for trial_id in {*begun, *found}:
        what = f"{trial_id} has {found[trial_id]} runs"
        verdict.fault("MLflow runs missing or double", abs(found[trial_id] - 1), what)
    right = "FINISHED" if through else "KILLED"
    for trial_id, _, status in runs:
        wanted = "FINISHED" if records[trial_id]["outcome"] else right
        what = f"{trial_id} is {status}, not {wanted}"
        verdict.fault("runs with a wrong status", status != wanted, what)
    trials = {run_id: trial_id for trial_id, run_id, _ in runs}
    _judge_rows(verdict, [(trials[r], *row) for r, *row in rows if r in trials], records)


def _judge_rows(verdict: Verdict, rows: list[tuple[Any, ...]], records: Records) -> None:
    times = Counter((trial_id, key, step) for trial_id, key, step, _ in rows)
    stored = {(trial_id, key, step): value for trial_id, key, step, value in rows}
    recorded = {
        (trial_id, key, epoch["epoch"]): value
        for trial_id, record in records.items()
        for i, epoch in enumerate(record["epochs"])
        for key, value in {
            **epoch,
            **{f"system/{name}": values[i] for name, values in record["system"].items()},
        }.items()
        if key not in NOT_METRICS and value is not None and math.isfinite(value)
    }
    for row, count in times.items():
        verdict.fault("MLflow rows double", count - 1, str(row))
    for row, value in recorded.items():
        verdict.fault("MLflow rows missing", row not in stored, str(row))
        other = row in stored and stored[row] != value
        verdict.fault("MLflow rows other than recorded", other, str(row))
    for row in stored.keys() - recorded.keys():
        verdict.fault("MLflow rows other than recorded", 1, f"{row} is in no record")


def judge_log(verdict: Verdict, log: Path) -> None:
    """Note what the program has printed that no user should see."""
    lines = log.read_text(errors="replace").splitlines()
    for number, line in enumerate(lines):
        # What a traceback came from stands in its first line that is not indented.
        what = (after for after in lines[number + 1 :] if not after.startswith(" "))
        told = f"{line} … {next(what, '')}" if "Traceback" in line else line
        verdict.fault("foreign lines", any(word in line for word in FOREIGN), told[:300])
