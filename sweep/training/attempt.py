"""One process trains one trial and commits it, epoch by epoch. Knows nothing of Ray."""

from __future__ import annotations

import os
import socket
import sys
import traceback
import uuid
from dataclasses import dataclass
from typing import Any

from sweep.provenance import provenance
from sweep.records.record import Record, SweepFolder, TrialFolder, now
from sweep.records.storage import Storage
from trainables.spec import Outcome, TrialSpec, spec_from_dict, spec_to_dict


@dataclass(frozen=True)
class Assignment:
    """What a worker is told: which trial, where its folder is, what it may occupy."""

    spec: TrialSpec
    sweep_uri: str
    data_root: str | None
    import_paths: tuple[str, ...]
    device: str
    num_threads: int
    retry: bool = False
    edition: str | None = None

    def to_dict(self) -> dict[str, Any]:
        """Plain values, as a Tune trial's config carries them, and the trial's id."""
        plain = {**vars(self), "spec": spec_to_dict(self.spec)}
        return {"trial_id": self.spec.trial_id, **plain}

    @staticmethod
    def from_dict(data: dict[str, Any]) -> Assignment:
        """The assignment that `to_dict` wrote."""
        plain = {key: value for key, value in data.items() if key != "trial_id"}
        return Assignment(**{**plain, "spec": spec_from_dict(data["spec"])})


class SupersededError(Exception):
    """Another worker has taken the trial over: this one was believed to be dead."""


class Attempt:
    """Trains a trial from its last committed epoch on; every epoch ends in a commit.

    An error of the trial itself becomes its outcome. Errors of the storage are raised, since
    nothing could be recorded, and so is `SupersededError`.
    """

    def __init__(self, assignment: Assignment) -> None:
        self.assignment = assignment
        sweep = SweepFolder(Storage.at(assignment.sweep_uri))
        self.folder: TrialFolder = sweep.trial(assignment.spec.trial_id)
        self.record = self.folder.load() or Record.of(assignment.spec)
        self.record.edition = assignment.edition
        self.trial: Any = None
        self.attempt_id = uuid.uuid4().hex[:8]
        if assignment.retry:
            self.record.outcome = self.record.error = None

    @property
    def is_done(self) -> bool:
        """Whether the trial has an outcome."""
        return self.record.outcome is not None

    def step(self) -> None:
        """Train one epoch and commit it, or commit the outcome that prevented it."""
        import torch

        from trainables import Diverged

        if self.is_done:
            return
        try:
            if self.trial is None:
                self.trial = self._begin()
            metrics = self.trial.run_epoch()
        except Diverged:
            self._end(Outcome.DIVERGED)
        except (torch.OutOfMemoryError, MemoryError) as error:
            self._end(Outcome.OUT_OF_MEMORY, error)
        except (Exception, SystemExit) as error:
            self._end(Outcome.FAILED, error)
        else:
            self._require_own()
            self.record.add_epoch(metrics)
            self.folder.save_checkpoint(metrics.epoch, self.trial.state())
            if metrics.epoch == self.assignment.spec.train.epochs:
                self.record.weights_digest = self.trial.weights_digest
                self.folder.save_correct(self.trial.correct_bits())
                self._end(Outcome.COMPLETED)
            else:
                self.folder.save(self.record)

    def release(self) -> None:
        """Let go of the model and the optimizer."""
        self.trial = None

    def _begin(self) -> Any:
        """The trial at its last committed checkpoint, or at the beginning."""
        import torch

        from trainables import Trial

        assignment, record = self.assignment, self.record
        missing = [path for path in assignment.import_paths if path not in sys.path]
        sys.path[:0] = missing
        torch.set_num_threads(assignment.num_threads)
        trial = Trial(assignment.spec, data_root=assignment.data_root, device=assignment.device)
        self._resume(trial)
        sizes = trial.dimensions
        record.num_classes, record.num_parameters = sizes.num_classes, sizes.num_parameters
        record.num_train, record.num_test = sizes.num_train, sizes.num_test
        record.chance_error = 100 * (1 - 1 / sizes.num_classes)
        record.provenance = provenance(assignment.device)
        record.attempts.append(
            {
                "id": self.attempt_id,
                "started": now(),
                "host": socket.gethostname(),
                "pid": os.getpid(),
                "device": assignment.device,
                "from_epoch": trial.epoch,
                "ended": None,
            }
        )
        self.folder.save(record)
        return trial

    def _require_own(self) -> None:
        """Raise unless the record on disk is there and this attempt's."""
        there = self.folder.load()
        if there is None:
            raise FileNotFoundError(f"{self.folder.storage.uri} has disappeared")
        if there.attempts[-1]["id"] != self.attempt_id:
            raise SupersededError(f"trial {self.record.trial_id} is another worker's now")

    def _resume(self, trial: Any) -> None:
        from trainables import CheckpointDamaged

        for epoch, content in self.folder.checkpoints(up_to=len(self.record.epochs)):
            try:
                trial.load_state(content)
            except CheckpointDamaged:
                continue  # the one before it is as good
            if trial.epoch == epoch:
                return

    def _end(self, outcome: Outcome, error: BaseException | None = None) -> None:
        record = self.record
        record.outcome = outcome
        if self.trial is not None:
            # Epochs beyond are of an earlier attempt, whose checkpoints were damaged.
            del record.epochs[self.trial.epoch :]
        if record.attempts:
            record.attempts[-1]["ended"] = now()
        if error is not None:
            text = "".join(traceback.format_exception(error))
            message = str(error).strip() or type(error).__name__
            record.error = {
                "type": type(error).__name__,
                "message": message,
                "traceback": text,
            }
            self.folder.save_traceback(text)
        self.folder.save(record)
        self.release()
