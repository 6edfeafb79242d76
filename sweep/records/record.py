"""The durable truth: one `record.json` per trial, written by the process that trains it.

MLflow is a projection of these records and can be rebuilt from them at any time.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, fields
from datetime import UTC, datetime
from typing import Any

from sweep.errors import SweepError
from sweep.records.storage import Storage
from trainables.spec import (
    SPEC_VERSION,
    EpochMetrics,
    Outcome,
    TrialSpec,
    spec_from_dict,
    spec_to_dict,
)

RECORD_VERSION = 1
RECORD = "record.json"
TRACEBACK = "traceback.txt"
CORRECT = "correct.npy"
KEPT_CHECKPOINTS = 2
_CHECKPOINT = re.compile(r"checkpoint-(\d+)(?:-step-(\d+))?\.pt")


class RecordDamagedError(SweepError):
    """Records that cannot be read: a line each, with its place, the reason and what to do."""


@dataclass
class Record:
    """What is known of a trial.

    `epochs` holds `EpochMetrics` with their first timestamp; `weights_digest` names the bits of
    a completed trial's weights; `edition` says in a sentence what a small edition of its grid
    replaced, or how much of the data the trial saw, and is null for all of them. `system` has a
    list per quantity of its worker's process (`ProcessUsage`), one value an epoch.
    """

    trial_id: str
    spec: dict[str, Any]
    spec_version: int = SPEC_VERSION
    record_version: int = RECORD_VERSION
    outcome: Outcome | None = None
    num_classes: int | None = None
    chance_error: float | None = None
    num_train: int | None = None
    num_test: int | None = None
    num_parameters: int | None = None
    weights_digest: str | None = None
    edition: str | None = None
    attempts: list[dict[str, Any]] = field(default_factory=list)
    epochs: list[dict[str, Any]] = field(default_factory=list)
    system: dict[str, list[float | None]] = field(default_factory=dict)
    provenance: dict[str, Any] = field(default_factory=dict)
    error: dict[str, str] | None = None

    @staticmethod
    def of(spec: TrialSpec) -> Record:
        """The record of a trial that has not begun."""
        return Record(trial_id=spec.trial_id, spec=spec_to_dict(spec))

    def add_epoch(self, metrics: EpochMetrics, usage: Mapping[str, float] | None = None) -> None:
        """Append an epoch. One trained a second time keeps its timestamp, its times and its usage.

        MLflow then has nothing new to store.
        """
        here = slice(metrics.epoch - 1, metrics.epoch)
        values = {key: _finite(value) for key, value in metrics.values().items()}
        stamped: dict[str, Any] = {"timestamp_ms": _now_ms(), **values}
        for earlier in self.epochs[here]:
            stamped |= {key: earlier[key] for key in ("timestamp_ms", "train_s", "eval_s")}
        self.epochs[here] = [stamped]
        for name, value in (usage or {}).items():
            column = self.system.setdefault(name, [])
            column += [None] * (metrics.epoch - len(column))
            if column[metrics.epoch - 1] is None:
                column[metrics.epoch - 1] = value

    def to_json(self) -> bytes:
        """Readable JSON; floats survive the round trip to the bit."""
        return json.dumps(vars(self), indent=1, allow_nan=False).encode() + b"\n"

    @property
    def fused(self) -> int | None:
        """Of how many networks side by side the trial was one, at most; None: never."""
        widths = [attempt["fused"] for attempt in self.attempts if "fused" in attempt]
        return max(widths, default=None)

    @property
    def compiled(self) -> list[list[int | None]]:
        """Which optimizer steps ran compiled: ranges `[first, end]`; end None: to the last one."""
        return self.attempts[-1].get("compiled", []) if self.attempts else []

    @property
    def train_s(self) -> float:
        """Seconds of training and evaluation so far."""
        return sum((e["train_s"] or 0.0) + (e["eval_s"] or 0.0) for e in self.epochs)


def parse_record(content: bytes, place: str) -> Record:
    """A record from its file; `RecordDamagedError` if truncated, foreign or too new."""
    try:
        data = json.loads(content)
        for name, known in (("record_version", RECORD_VERSION), ("spec_version", SPEC_VERSION)):
            version = data[name]
            if version > known:
                what = f"has {name} {version}, but this program knows versions up to {known}"
                raise RecordDamagedError(f"{place}: {what}; update the program")
        data["outcome"] = Outcome(data["outcome"]) if data["outcome"] else None
        unknown = set(data) - {field.name for field in fields(Record)}
        if unknown:
            raise ValueError(f"unknown field {sorted(unknown)[0]!r}")
        record = Record(**data)
        _require_sound(record)
        return record
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        what = (
            f"{place}: not a record: {error}; put back a copy of it, or delete it to train the "
            f"trial again"
        )
        raise RecordDamagedError(what) from error


def _require_sound(record: Record) -> None:
    """Raise `ValueError` for what no attempt writes: copied from elsewhere, or changed by hand."""
    if record.spec_version == SPEC_VERSION:
        named = spec_from_dict(record.spec).trial_id
        if named != record.trial_id:
            raise ValueError(f"its spec is that of trial {named}, not {record.trial_id}")
    numbers = [epoch["epoch"] for epoch in record.epochs]
    if numbers != list(range(1, len(numbers) + 1)):
        raise ValueError(f"its epochs are {numbers}")
    for epoch in record.epochs:
        for name, value in epoch.items():
            if isinstance(value, bool) or not isinstance(value, int | float | None):
                raise ValueError(f"{name} of epoch {epoch['epoch']} is {value!r}")
    wanted = record.spec["train"]["epochs"]
    if record.outcome is Outcome.COMPLETED and len(numbers) != wanted:
        raise ValueError(f"it is completed, but has {len(numbers)} of {wanted} epochs")
    for attempt in (*record.attempts, record.provenance):
        attempt.items()


@dataclass(frozen=True)
class TrialFolder:
    """The folder that one trial owns: its record, its last checkpoints, what it leaves behind."""

    storage: Storage

    def load(self) -> Record | None:
        """The trial's record, or None if the trial has not begun."""
        place = f"{self.storage.uri}/{RECORD}"
        try:
            content = self.storage.read(RECORD)
        except FileNotFoundError:
            return None
        except IsADirectoryError:
            raise RecordDamagedError(f"{place}: not a record, but a folder; move it away") from None
        record = parse_record(content, place)
        folder = self.storage.name
        if record.trial_id != folder:
            raise RecordDamagedError(
                f"{place}: the record of trial {record.trial_id}, not of {folder}; put back a copy "
                f"of the right one, or delete it to train the trial again"
            )
        return record

    def save(self, record: Record) -> None:
        """Commit the record."""
        self.save_json(record.to_json())

    def save_json(self, content: bytes) -> None:
        """Commit a record as `Record.to_json` gives it."""
        self.storage.write(RECORD, content)

    def save_checkpoint(self, epoch: int, steps: int, content: bytes) -> None:
        """Write the checkpoint at so many steps after an epoch, which the record must name.

        Older ones go, and so do newer ones: they were damaged, else the trial would not be here.
        """
        self.storage.write(_checkpoint(epoch, steps), content)
        marks = self._checkpoints()
        kept = [mark for mark in marks if mark <= (epoch, steps)][:KEPT_CHECKPOINTS]
        for mark in marks:
            if mark not in kept:
                self.storage.delete(_checkpoint(*mark))

    def checkpoints(self, up_to: int) -> Iterator[tuple[str, bytes]]:
        """Those that follow a committed epoch, the newest first: (name, content)."""
        for epoch, steps in self._checkpoints():
            if epoch <= up_to:
                name = _checkpoint(epoch, steps)
                yield name, self.storage.read(name)

    def newest_checkpoint(self) -> tuple[int, int] | None:
        """Epochs, and steps into the next one, of the newest checkpoint; None if there is none."""
        return next(iter(self._checkpoints()), None)

    def delete_checkpoints(self) -> None:
        """Delete them all: what they continue is no longer wanted."""
        for epoch, steps in self._checkpoints():
            self.storage.delete(_checkpoint(epoch, steps))

    def disposable(self) -> list[str]:
        """Names of the checkpoints, and of what a killed worker had not written to the end."""
        checkpoints = [_checkpoint(*mark) for mark in self._checkpoints()]
        return checkpoints + [name for name in self.storage.names() if name.endswith(".tmp")]

    def save_correct(self, content: bytes) -> None:
        """Write which test examples were right after the last epoch (`Trial.correct_bits`)."""
        self.storage.write(CORRECT, content)

    def correct(self) -> bytes | None:
        """What `save_correct` wrote, or None if the trial was trained without it."""
        try:
            return self.storage.read(CORRECT)
        except FileNotFoundError:
            return None

    def save_traceback(self, text: str) -> None:
        """Write the traceback where a person can open it."""
        self.storage.write(TRACEBACK, text.encode())

    def delete_traceback(self) -> None:
        """Delete what `save_traceback` wrote for an earlier attempt, if there was one."""
        self.storage.delete(TRACEBACK)

    def _checkpoints(self) -> list[tuple[int, int]]:
        found = [_CHECKPOINT.fullmatch(name) for name in self.storage.names()]
        return sorted(((int(m[1]), int(m[2] or 0)) for m in found if m), reverse=True)


def _checkpoint(epoch: int, steps: int) -> str:
    within = f"-step-{steps:08d}" if steps else ""
    return f"checkpoint-{epoch:06d}{within}.pt"


@dataclass(frozen=True)
class SweepFolder:
    """`<storage>/<sweep name>`: what the grid expects, and a folder per trial."""

    storage: Storage

    def trial(self, trial_id: str) -> TrialFolder:
        """The folder of one trial."""
        return TrialFolder(self.storage.below("trials", trial_id))

    def load(self, trial_ids: Sequence[str]) -> dict[str, Record]:
        """The records of those trials that have begun.

        Raises `RecordDamagedError` with a line for each that cannot be read.
        """
        records, damaged = self.load_readable(trial_ids)
        if damaged:
            raise RecordDamagedError("\n".join(damaged.values()))
        return records

    def load_readable(self, trial_ids: Sequence[str]) -> tuple[dict[str, Record], dict[str, str]]:
        """The records of those trials that have begun; for each that cannot be read, a line."""
        there = set(self.storage.below("trials").names())
        wanted = [trial_id for trial_id in trial_ids if trial_id in there]
        with ThreadPoolExecutor(max_workers=8) as pool:
            found = dict(zip(wanted, pool.map(self._load_or_say, wanted), strict=True))
        records = {key: record for key, record in found.items() if isinstance(record, Record)}
        return records, {key: line for key, line in found.items() if isinstance(line, str)}

    def _load_or_say(self, trial_id: str) -> Record | str | None:
        try:
            return self.trial(trial_id).load()
        except RecordDamagedError as error:
            return str(error)

    def save_expected(self, expected: dict[str, Any]) -> None:
        """Write `sweep.json`: which trials the grid expects, and what it calls them."""
        self.storage.write("sweep.json", json.dumps(expected, indent=1).encode() + b"\n")


def utc_now() -> str:
    """The time in UTC, ISO 8601, to the second."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def _now_ms() -> int:
    return int(datetime.now(UTC).timestamp() * 1000)


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None
