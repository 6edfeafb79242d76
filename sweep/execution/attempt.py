"""One process trains one trial and commits it, epoch by epoch. Knows nothing of Ray."""

from __future__ import annotations

import os
import socket
import time
import traceback
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from sweep.execution.assignment import Assignment
from sweep.execution.resource_usage import ProcessUsage
from sweep.execution.trial_writer import SupersededError, TrialWriter
from sweep.process.import_order import put_custom_modules_last
from sweep.process.working_folder import enter_folder
from sweep.records.lease import DriverOrders, read_orders
from sweep.records.provenance import collect_provenance
from sweep.records.record import Record, SweepFolder, TrialFolder, utc_now
from sweep.records.storage import Storage
from trainables.errors import Diverged
from trainables.memory import resident_bytes, trim_allocator_memory
from trainables.spec import EpochMetrics, Outcome

if TYPE_CHECKING:
    from trainables import Trial
    from trainables.fused.trials import Progress

ORDER_CHECK_S = 2.0
"""How often an attempt reads whether its driver wants it to stop."""


class Terminated(SystemExit):
    """This process is told to end, by its node or because its driver is gone.

    A `SystemExit`, as Ray expects; unlike one of the trial's own it is no outcome.
    """


class Attempt:
    """Trains a trial from its last checkpoint on; every epoch ends in a commit.

    An error of the trial itself becomes its outcome. Errors of the storage are raised, since
    nothing could be recorded, and so is `SupersededError`.

    Attributes:
        record: the trial's record as this attempt has committed it.
        stopped_for: why the attempt has ended without an outcome: `interrupted`, or
            `out_of_memory` where more of the device is to be had; None while it has not.
        notices: what a person should know, a line each.
    """

    def __init__(self, assignment: Assignment) -> None:
        self.assignment = assignment
        self.sweep = SweepFolder(Storage.at(assignment.sweep_uri))
        self.folder: TrialFolder = self.sweep.trial(assignment.spec.trial_id)
        self.record = self.folder.load() or Record.of(assignment.spec)
        self.record.edition = assignment.edition
        self.trial: Trial | None = None
        self.usage: ProcessUsage | None = None
        self.resident: int | None = None
        self.entry: dict[str, Any] = {"id": uuid.uuid4().hex[:8]}
        self.stopped_for: str | None = None
        self.notices: list[str] = []
        self.commits = TrialWriter(
            self.folder, assignment.checkpoint_every_s, tell_of_weights=assignment.log_models
        )
        self.last_orders = -float("inf")
        if assignment.retry:
            self.record.outcome = self.record.error = None

    @property
    def is_done(self) -> bool:
        """Whether the trial has an outcome, or is put aside."""
        return self.record.outcome is not None or self.stopped_for is not None

    def step(self) -> None:
        """Train to the epoch's end and commit it, or commit what prevented that."""
        try:
            while not self.is_done:
                if self.is_stop_requested():
                    self.suspend("interrupted")
                elif self.trial is None:
                    self.begin()
                elif self.advance():
                    return
        finally:
            self.commits.settle()

    def restart(self, why: str) -> None:
        """Go back to the last checkpoint, in an attempt of its own."""
        self.commits.settle()
        self.entry["ended"], self.entry["stopped_for"] = utc_now(), why
        self.entry = {"id": uuid.uuid4().hex[:8]}
        self.release()

    def release(self) -> None:
        """Let go of the model and the optimizer."""
        self.trial = None
        trim_allocator_memory(self.assignment.device, self.resident)

    def is_stop_requested(self) -> bool:
        """Whether its driver wants it to; read every few seconds."""
        if not self.assignment.driver or time.monotonic() - self.last_orders < ORDER_CHECK_S:
            return False
        self.last_orders = time.monotonic()
        told = read_orders(self.sweep, self.assignment.driver, self.assignment.cell)
        if told is DriverOrders.LEAVE:
            raise SupersededError("another `run` has taken the sweep over")
        return told is DriverOrders.STOP

    def begin(self) -> None:
        """Build the trial, at its last checkpoint if it has one, and record the attempt."""
        import torch

        assignment = self.assignment
        self.resident = resident_bytes()
        put_custom_modules_last(assignment.import_paths)
        enter_folder(assignment.folder)
        torch.set_num_threads(assignment.num_threads)
        with self.record_trial_errors():
            from trainables import Trial, data

            data.download(assignment.spec.data.name, assignment.data_root)  # a node that came late
            self.trial = Trial(
                assignment.spec,
                data_root=assignment.data_root,
                device=assignment.device,
                compilation=assignment.compilation,
                cuda_graphs=assignment.cuda_graphs,
            )
        if self.trial is not None:
            resume_trial(self, self.trial)
        if self.trial is not None:
            self._record_attempt(self.trial)
            self.usage = ProcessUsage(assignment.device)

    def _record_attempt(self, trial: Trial) -> None:
        if self.assignment.driver:
            read_orders(self.sweep, self.assignment.driver)  # raises where the storage is gone
        record, sizes = self.record, trial.dimensions
        record.num_classes, record.num_parameters = sizes.num_classes, sizes.num_parameters
        record.num_train, record.num_test = sizes.num_train, sizes.num_test
        record.chance_error = sizes.chance_error
        record.provenance = collect_provenance(self.assignment.device)
        self.entry |= {
            "started": utc_now(),
            "host": socket.gethostname(),
            "pid": os.getpid(),
            "device": self.assignment.device,
            "driver": self.assignment.driver,
            "source": self.assignment.source,
            "data": trial.dataset.digest,
            "from_epoch": trial.epoch,
            "from_step": trial.steps_into_epoch,
            "ended": None,
        }
        self._note_compilation()
        record.attempts.append(self.entry)
        self.commits.record(record)

    def advance(self) -> bool:
        """Train for a stretch, or test; whether an epoch was committed, or what prevented it."""
        metrics = None
        if self.trial is not None:
            with self.record_trial_errors():
                metrics = self.trial.advance()
        return self.take(metrics)

    def take(self, progress: Progress) -> bool:
        """Commit what became of a stretch; whether there was anything but a checkpoint."""
        self._note_compilation()
        if isinstance(progress, Diverged):
            self.end(Outcome.DIVERGED)
        elif self.trial is not None and progress is not None:
            self._commit(self.trial, progress)
            return True
        elif self.trial is not None and self.commits.checkpoint_is_due(within_epoch=True):
            self._write_checkpoint(self.trial)
        return self.is_done

    def _note_compilation(self) -> None:
        """Say which steps ran compiled, whether from a CUDA graph, and why others do not."""
        if self.trial is None:
            return
        steps = self.trial.steps
        if getattr(steps, "is_graphed", False):
            self.entry["cuda_graphs"] = True
        if steps.compiled:
            self.entry["compiled"] = [list(pair) for pair in steps.compiled]
        self.notices += [line for line in steps.remarks if line not in self.notices]

    @contextmanager
    def record_trial_errors(self) -> Iterator[None]:
        """Turn the trial's errors into its outcome; those of its checkpoints are raised."""
        import torch

        from trainables import CheckpointDamaged, CheckpointTooNew

        try:
            yield
        except (CheckpointDamaged, CheckpointTooNew, Terminated):
            raise
        except Diverged:
            self.end(Outcome.DIVERGED)
        except (torch.OutOfMemoryError, MemoryError) as error:
            if self.assignment.can_grow:
                self.suspend("out_of_memory")
            else:
                self.end(Outcome.OUT_OF_MEMORY, error)
        except (Exception, SystemExit) as error:
            self.end(Outcome.FAILED, error)

    def _commit(self, trial: Trial, metrics: EpochMetrics) -> None:
        self.commits.require_current_attempt(self.entry["id"])
        self.record.add_epoch(metrics, self.usage.read() if self.usage else None)
        if trial.finished:
            self.record.weights_digest = trial.weights_digest
            self.commits.correct(trial.correct_bits())
            self.commits.last_checkpoint(trial)
            self._close(Outcome.COMPLETED)
        else:
            if self.commits.checkpoint_is_due(within_epoch=False):
                self.commits.checkpoint(trial)
            self.commits.record(self.record)

    def _write_checkpoint(self, trial: Trial) -> None:
        self.commits.require_current_attempt(self.entry["id"])
        self.commits.checkpoint(trial)

    def suspend(self, why: str) -> None:
        """End the attempt without an outcome, with a checkpoint if there is something to keep."""
        self.stopped_for = why
        if self.trial is not None and "started" in self.entry:
            if why == "interrupted":
                self._write_checkpoint(self.trial)
            self.entry["ended"], self.entry["stopped_for"] = utc_now(), why
            self.commits.record(self.record)
        self.release()

    def end(self, outcome: Outcome, error: BaseException | None = None) -> None:
        """Commit the trial's outcome."""
        if "started" in self.entry:
            self.commits.require_current_attempt(self.entry["id"])
        self._close(outcome, error)

    def _close(self, outcome: Outcome, error: BaseException | None = None) -> None:
        record = self.record
        record.outcome = outcome
        if self.trial is not None:
            # Epochs beyond are of an earlier attempt, whose checkpoints were damaged.
            del record.epochs[self.trial.epoch :]
        self.entry["ended"] = utc_now()
        if error is not None:
            text = "".join(traceback.format_exception(error))
            message = str(error).strip() or type(error).__name__
            record.error = {
                "type": type(error).__name__,
                "message": message,
                "traceback": text,
            }
            self.folder.save_traceback(text)
        else:
            self.folder.delete_traceback()
        self.commits.record(record)
        self.release()


def resume_trial(attempt: Attempt, trial: Trial) -> None:
    """Load the trial's last checkpoint, if there is one, and note what was damaged.

    Epochs of another layer, model or data set than today's are forgotten, so that no trial is half
    of one and half of another; the driver has said so (`sweep.planning.continuation`).
    """
    from trainables import CheckpointDamaged

    if _has_changed(attempt, trial):
        attempt.record.epochs.clear()
        attempt.folder.delete_checkpoints()
    damaged = []
    for name, content in attempt.folder.checkpoints(up_to=len(attempt.record.epochs)):
        try:
            with attempt.record_trial_errors():
                trial.load_state(content)
            break
        except CheckpointDamaged:
            damaged.append(name)  # the one before it is as good
    if damaged:
        place = f"{attempt.folder.storage.uri}/{', '.join(damaged)}"
        attempt.notices.append(f"{place}: damaged; the trial goes on from epoch {trial.epoch}")


def _has_changed(attempt: Attempt, trial: Trial) -> bool:
    """Whether something of the user's own is not as it was for the epochs on record."""
    before = attempt.record.attempts[-1] if attempt.record.attempts else {}
    source, digest = attempt.assignment.source, trial.dataset.digest
    return (before.get("source", source), before.get("data", digest)) != (source, digest)
