"""One `record.json` per trial, written by the process that trains the trial.

MLflow shows these records, and can be filled again from them at any time.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, fields, replace
from datetime import UTC, datetime
from typing import Any

from sweep.errors import SweepError
from sweep.grid.preset_changes import Preset, PresetChanges
from sweep.records.attempt_info import AttemptInfo, StepRanges, TrialError
from sweep.records.epoch_record import EpochRecord
from sweep.records.provenance import Provenance
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
    """Records cannot be read; a message per record has its place, the reason and what to do."""


@dataclass
class Record:
    """The record of a trial: its spec, its epochs, its attempts and its outcome.

    Attributes:
        spec: the trial's spec, as the version of the program that began the trial wrote it.
        outcome: how the trial ended; None until then.
        chance_error: percent wrong by guessing among the classes.
        weights_digest: names the bits of a completed trial's weights.
        edition: a sentence on what the small preset of the grid replaced, or on how much of the
            data the trial saw; None for all of the data.
        preset: what a preset replaced, as data; left out of the file for a trial of the full grid.
        epochs: the committed epochs, from the first one.
        system: a list per quantity of the worker's process (`ProcessUsage`), one value an epoch.
        error: the error that ended the trial; None if there was none.
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
    preset: dict[str, Any] | None = None
    attempts: list[AttemptInfo] = field(default_factory=list)
    epochs: list[EpochRecord] = field(default_factory=list)
    system: dict[str, list[float | None]] = field(default_factory=dict)
    provenance: Provenance = field(default_factory=Provenance)
    error: TrialError | None = None

    @staticmethod
    def of(spec: TrialSpec) -> Record:
        """Return a new record for a trial that has not begun."""
        return Record(trial_id=spec.trial_id, spec=spec_to_dict(spec))

    def set_preset(self, changes: PresetChanges | None) -> None:
        """Set what differs from the full sweep on all of the data; None: nothing differs."""
        is_small = changes is not None and changes.preset is Preset.SMALL
        self.edition = str(changes) if changes else None
        self.preset = changes.to_dict() if changes and is_small else None

    def add_epoch(self, metrics: EpochMetrics, usage: Mapping[str, float] | None = None) -> None:
        """Append an epoch, or replace it if the trial is trained a second time from before it.

        A replaced epoch keeps its timestamp, its times and its usage, so that MLflow has nothing
        new to store.

        Args:
            metrics: what the training yielded for the epoch.
            usage: the worker's usage of its machine during the epoch, by quantity.
        """
        index = metrics.epoch - 1
        if index < len(self.epochs):
            first = self.epochs[index]
            train_s, eval_s = first.metrics.train_s, first.metrics.eval_s
            metrics = replace(metrics, train_s=train_s, eval_s=eval_s)
            self.epochs[index] = EpochRecord(first.timestamp_ms, metrics)
        else:
            self.epochs.append(EpochRecord(_now_ms(), metrics))
        for name, value in (usage or {}).items():
            column = self.system.setdefault(name, [])
            column += [None] * (metrics.epoch - len(column))
            if column[index] is None:
                column[index] = value

    def to_json(self) -> bytes:
        """Return the record as readable JSON, in which every float keeps all its bits."""
        data = {
            **vars(self),
            "attempts": [attempt.to_json() for attempt in self.attempts],
            "epochs": [epoch.to_json() for epoch in self.epochs],
            "provenance": self.provenance.to_json(),
            "error": vars(self.error) if self.error else None,
        }
        if self.preset is None:
            del data["preset"]
        return json.dumps(data, indent=1, allow_nan=False).encode() + b"\n"

    @property
    def last_attempt(self) -> AttemptInfo | None:
        """The newest attempt; None if the trial has not begun."""
        return self.attempts[-1] if self.attempts else None

    @property
    def last_test_error(self) -> float | None:
        """Test error of the last epoch in percent; None before the first, or if not finite."""
        return self.epochs[-1].test_error if self.epochs else None

    @property
    def fused(self) -> int | None:
        """How many seeds were trained as one network with this one, at most; None: never."""
        widths = [attempt.fused for attempt in self.attempts if attempt.fused is not None]
        return max(widths, default=None)

    @property
    def compiled(self) -> StepRanges:
        """The optimizer steps that ran compiled."""
        last = self.last_attempt
        return last.compiled or [] if last else []

    @property
    def train_s(self) -> float:
        """Seconds of training and evaluation so far."""
        return sum((epoch.seconds for epoch in self.epochs), 0.0)


def parse_record(content: bytes, place: str) -> Record:
    """Return the record that a file holds.

    Args:
        content: bytes of the file.
        place: path or URI of the file, for the error message.

    Raises:
        RecordDamagedError: the file is truncated, is no record, or a newer version wrote it.
    """
    try:
        data = json.loads(content)
        for name, newest in (("record_version", RECORD_VERSION), ("spec_version", SPEC_VERSION)):
            version = data[name]
            if version > newest:
                what = f"has {name} {version}, but this program knows versions up to {newest}"
                raise RecordDamagedError(f"{place}: {what}; update the program")
        unknown = set(data) - {field.name for field in fields(Record)}
        if unknown:
            raise ValueError(f"unknown field {sorted(unknown)[0]!r}")
        record = Record(**{**data, **_typed_fields(data)})
        _require_consistent(record)
        return record
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        what = (
            f"{place}: not a record: {error}; put back a copy of it, or delete it to train the "
            f"trial again"
        )
        raise RecordDamagedError(what) from error


def _typed_fields(data: Mapping[str, Any]) -> dict[str, Any]:
    """Return `data` with attempts, epochs, error, provenance and outcome as objects."""
    return {
        "outcome": Outcome(data["outcome"]) if data["outcome"] else None,
        "attempts": [AttemptInfo.from_json(attempt) for attempt in _get_list(data, "attempts")],
        "epochs": [EpochRecord.from_json(epoch) for epoch in _get_list(data, "epochs")],
        "provenance": Provenance.from_json(data.get("provenance", {})),
        "error": TrialError(**data["error"]) if data.get("error") else None,
    }


def _get_list(data: Mapping[str, Any], name: str) -> list[object]:
    """Return the list under a key, empty if missing; raise `ValueError` for another type."""
    value = data.get(name, [])
    if not isinstance(value, list):
        raise ValueError(f"expected a list of {name}, found {value!r}")
    return value


def _require_consistent(record: Record) -> None:
    """Raise `ValueError` if the record contradicts itself: spec and id, or epochs and outcome.

    No attempt writes such a record; the file was copied from another trial, or edited.
    """
    if record.spec_version == SPEC_VERSION:
        named = spec_from_dict(record.spec).trial_id
        if named != record.trial_id:
            raise ValueError(f"its spec is that of trial {named}, not {record.trial_id}")
    numbers = [epoch.epoch for epoch in record.epochs]
    if numbers != list(range(1, len(numbers) + 1)):
        raise ValueError(f"its epochs are {numbers}")
    wanted = record.spec["train"]["epochs"]
    if record.outcome is Outcome.COMPLETED and len(numbers) != wanted:
        raise ValueError(f"it is completed, but has {len(numbers)} of {wanted} epochs")


@dataclass(frozen=True)
class TrialFolder:
    """The folder of one trial: its record, checkpoints, predictions and traceback."""

    storage: Storage

    def load(self) -> Record | None:
        """Return the trial's record, None if the trial has not begun.

        Raises:
            RecordDamagedError: the file is no record, or that of another trial.
        """
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
        """Write the record."""
        self.save_json(record.to_json())

    def save_json(self, content: bytes) -> None:
        """Write a record that `Record.to_json` has returned."""
        self.storage.write(RECORD, content)

    def save_checkpoint(self, epoch: int, steps: int, content: bytes) -> None:
        """Write a checkpoint and delete all but the newest `KEPT_CHECKPOINTS`.

        Checkpoints that are further than this one are deleted too: they were damaged, or else the
        trial would have resumed from them.

        Args:
            epoch: finished epochs, which the record must hold.
            steps: optimizer steps into the next epoch.
            content: the trial's state.
        """
        self.storage.write(_checkpoint_name(epoch, steps), content)
        marks = self._checkpoints()
        kept = [mark for mark in marks if mark <= (epoch, steps)][:KEPT_CHECKPOINTS]
        for mark in marks:
            if mark not in kept:
                self.storage.delete(_checkpoint_name(*mark))

    def checkpoints(self, up_to: int) -> Iterator[tuple[str, bytes]]:
        """Yield name and content of the checkpoints after at most `up_to` epochs, newest first."""
        for epoch, steps in self._checkpoints():
            if epoch <= up_to:
                name = _checkpoint_name(epoch, steps)
                yield name, self.storage.read(name)

    def newest_checkpoint(self) -> tuple[int, int] | None:
        """Return the epochs of the newest checkpoint and its steps into the next one, or None."""
        return next(iter(self._checkpoints()), None)

    def delete_checkpoints(self) -> None:
        """Delete all checkpoints."""
        for epoch, steps in self._checkpoints():
            self.storage.delete(_checkpoint_name(epoch, steps))

    def list_disposable_files(self) -> list[str]:
        """Return the names of checkpoints, and of temporary files that a killed worker left."""
        checkpoints = [_checkpoint_name(*mark) for mark in self._checkpoints()]
        return checkpoints + [name for name in self.storage.names() if name.endswith(".tmp")]

    def save_correct(self, content: bytes) -> None:
        """Write which test examples were classified correctly (`Trial.correct_bits`)."""
        self.storage.write(CORRECT, content)

    def load_correct(self) -> bytes | None:
        """Return which test examples are classified correctly (`save_correct`); None if absent."""
        try:
            return self.storage.read(CORRECT)
        except FileNotFoundError:
            return None

    def save_traceback(self, text: str) -> None:
        """Write the traceback of the error that ended the trial, for a person to read."""
        self.storage.write(TRACEBACK, text.encode())

    def delete_traceback(self) -> None:
        """Delete the traceback of an earlier attempt, if there is one."""
        self.storage.delete(TRACEBACK)

    def _checkpoints(self) -> list[tuple[int, int]]:
        """Return the epochs and further steps of each stored checkpoint, newest first."""
        found = [_CHECKPOINT.fullmatch(name) for name in self.storage.names()]
        return sorted(((int(m[1]), int(m[2] or 0)) for m in found if m), reverse=True)


def _checkpoint_name(epoch: int, steps: int) -> str:
    """Return the file name of the checkpoint after `epoch` epochs and `steps` further steps."""
    within = f"-step-{steps:08d}" if steps else ""
    return f"checkpoint-{epoch:06d}{within}.pt"


@dataclass(frozen=True)
class SweepFolder:
    """The folder of a sweep, `<storage>/<sweep name>`: `sweep.json`, a folder per trial."""

    storage: Storage

    def trial(self, trial_id: str) -> TrialFolder:
        """Return the folder of one trial."""
        return TrialFolder(self.storage.below("trials", trial_id))

    def load(self, trial_ids: Sequence[str]) -> dict[str, Record]:
        """Return the records of those trials that have begun, by id.

        Raises:
            RecordDamagedError: with a line for each record that cannot be read.
        """
        records, damaged = self.load_readable(trial_ids)
        if damaged:
            raise RecordDamagedError("\n".join(damaged.values()))
        return records

    def load_readable(self, trial_ids: Sequence[str]) -> tuple[dict[str, Record], dict[str, str]]:
        """Return the records of those trials that have begun, and a line per unreadable one."""
        existing = set(self.storage.below("trials").names())
        begun = [trial_id for trial_id in trial_ids if trial_id in existing]
        with ThreadPoolExecutor(max_workers=8) as pool:
            loaded = dict(zip(begun, pool.map(self._load_or_explain, begun), strict=True))
        records = {key: record for key, record in loaded.items() if isinstance(record, Record)}
        return records, {key: line for key, line in loaded.items() if isinstance(line, str)}

    def _load_or_explain(self, trial_id: str) -> Record | str | None:
        """Return a trial's record, None if it has none, or the message if it cannot be read."""
        try:
            return self.trial(trial_id).load()
        except RecordDamagedError as error:
            return str(error)

    def save_expected(self, expected: Mapping[str, object]) -> None:
        """Write `sweep.json`: the trials that the grid expects, with their names."""
        self.storage.write("sweep.json", json.dumps(expected, indent=1).encode() + b"\n")


def utc_now() -> str:
    """Return the time in UTC, ISO 8601, to the second."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def _now_ms() -> int:
    """Return the time in milliseconds since 1970."""
    return int(datetime.now(UTC).timestamp() * 1000)
