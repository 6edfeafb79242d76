"""An attempt at a trial: one process trains it and commits it epoch by epoch, without Ray."""

from __future__ import annotations

import logging
import os
import socket
import time
import traceback
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING

from sweep.execution.assignment import Assignment
from sweep.execution.resource_usage import ProcessUsage
from sweep.execution.trial_log import TrialLog
from sweep.execution.trial_writer import SupersededError, TrialWriter
from sweep.process.import_order import put_custom_modules_last
from sweep.process.working_folder import enter_folder
from sweep.records.attempt_info import AttemptInfo, TrialError
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

logger = logging.getLogger(__name__)

ORDER_CHECK_S = 2.0
"""How often an attempt reads whether its driver wants it to stop."""


LOG_UPLOAD_S = 5.0
"""How long an attempt that is suspended waits for the storage to take its log."""


class Terminated(SystemExit):
    """Raised when this process receives SIGTERM, from its node or because its driver is gone.

    It is a `SystemExit`, as Ray expects; unlike one that the trial's code raises it is no outcome.
    """


class Attempt:
    """One attempt at a trial: trains it from its last checkpoint on and records every epoch.

    An error of the trial itself becomes the trial's outcome. Errors of the storage are raised,
    since no outcome could be recorded, and so is `SupersededError`.

    Attributes:
        record: the trial's record as this attempt has committed it.
        stopped_for: why the attempt has ended without an outcome: `interrupted`, or
            `out_of_memory` where a larger share of the device is available; None otherwise.
        notices: lines for the user.
    """

    def __init__(self, assignment: Assignment) -> None:
        self.assignment = assignment
        self.sweep = SweepFolder(Storage.at(assignment.sweep_uri))
        self.folder: TrialFolder = self.sweep.trial(assignment.spec.trial_id)
        self.record = self.folder.load() or Record.of(assignment.spec)
        self.record.set_preset(assignment.preset)
        self.trial: Trial | None = None
        self.usage: ProcessUsage | None = None
        self.resident: int | None = None
        self.info: AttemptInfo | None = None
        self.stopped_for: str | None = None
        self.notices: list[str] = []
        self.writer = TrialWriter(
            self.folder, assignment.checkpoint_every_s, reports_weights=assignment.log_models
        )
        self.log = TrialLog(self.folder, assignment.spec.trial_id)
        self.messages = logging.LoggerAdapter(logger, {"trial_id": assignment.spec.trial_id})
        self.orders_read_at = -float("inf")
        if assignment.retry:
            self.record.outcome = self.record.error = None

    @property
    def is_done(self) -> bool:
        """Whether the trial has an outcome, or is suspended."""
        return self.record.outcome is not None or self.stopped_for is not None

    def restart(self, why: str) -> None:
        """End this attempt for the reason `why`; a new one can begin."""
        self.messages.warning("attempt %s ends: %s", self._attempt_id, why)
        self.writer.settle()
        if self.info is not None:
            self._set_info(replace(self.info, ended=utc_now(), stopped_for=why))
        self.info = None
        self.release()

    def release(self) -> None:
        """Drop the model and the optimizer from memory, and close the trial's log."""
        self.log.finish()
        self.trial = None
        trim_allocator_memory(self.assignment.device, self.resident)

    def is_stop_requested(self) -> bool:
        """Return whether the driver wants the trial suspended; reads the lease every few seconds.

        Raises:
            SupersededError: another driver has taken the sweep over.
        """
        if not self.assignment.driver or time.monotonic() - self.orders_read_at < ORDER_CHECK_S:
            return False
        self.orders_read_at = time.monotonic()
        told = read_orders(self.sweep, self.assignment.driver, self.assignment.cell)
        if told is DriverOrders.SUPERSEDED:
            raise SupersededError("another `run` has taken the sweep over")
        return told is DriverOrders.STOP

    def begin(self) -> None:
        """Build the trial, load its last checkpoint if it has one, and record the attempt."""
        import torch

        assignment = self.assignment
        self.log.open()
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
            self._resume(self.trial)
        if self.trial is not None:
            self._record_attempt(self.trial)
            self.usage = ProcessUsage(assignment.device)

    def _resume(self, trial: Trial) -> None:
        """Load the trial's newest undamaged checkpoint, if there is one; notify of damaged ones.

        If the custom layer, model or data set has changed since the recorded epochs, these epochs
        are deleted and the trial starts anew: no trial mixes two versions of the code. The driver
        has told the user (`sweep.planning.resumption`).
        """
        from trainables import CheckpointDamaged

        if self._custom_code_has_changed(trial):
            self.record.epochs.clear()
            self.folder.delete_checkpoints()
        damaged = []
        for name, content in self.folder.checkpoints(up_to=len(self.record.epochs)):
            try:
                with self.record_trial_errors():
                    trial.load_state(content)
                break
            except CheckpointDamaged:
                damaged.append(name)  # the one before it is as good
        if damaged:
            place = f"{self.folder.storage.uri}/{', '.join(damaged)}"
            self._notify(f"{place}: damaged; the trial goes on from epoch {trial.epoch}")

    def _custom_code_has_changed(self, trial: Trial) -> bool:
        """Whether a custom layer, model or data set differs from that of the recorded epochs."""
        before = self.record.last_attempt
        if before is None:
            return False
        source_has_changed = before.source not in (None, self.assignment.source)
        return source_has_changed or before.data not in (None, trial.dataset.digest)

    def _record_attempt(self, trial: Trial) -> None:
        """Add this attempt and its provenance to the trial's record, and write the record."""
        if self.assignment.driver:
            read_orders(self.sweep, self.assignment.driver)  # raises where the storage is gone
        record, sizes = self.record, trial.dimensions
        record.num_classes, record.num_parameters = sizes.num_classes, sizes.num_parameters
        record.num_train, record.num_test = sizes.num_train, sizes.num_test
        record.chance_error = sizes.chance_error
        record.provenance = collect_provenance(self.assignment.device)
        self._log_lost_attempt()
        self.info = AttemptInfo(
            id=uuid.uuid4().hex[:8],
            started=utc_now(),
            host=socket.gethostname(),
            pid=os.getpid(),
            device=self.assignment.device,
            driver=self.assignment.driver,
            source=self.assignment.source,
            data=trial.dataset.digest,
            from_epoch=trial.epoch,
            from_step=trial.steps_into_epoch,
        )
        record.attempts.append(self.info)
        self._log_start(self.info)
        self._record_compilation()
        # The log has a folder to be written into once the record is there.
        self.writer.write_record(record).add_done_callback(lambda _: self.log.write_later())

    def _log_lost_attempt(self) -> None:
        """Log a warning if the previous attempt has no end: its process was lost."""
        earlier = self.record.last_attempt
        if earlier is not None and earlier.ended is None:
            self.messages.warning(
                "attempt %s on %s ended without a message: its process was lost",
                earlier.id,
                earlier.host,
            )

    def _log_start(self, info: AttemptInfo) -> None:
        """Log where this attempt starts: host, process, device, version, epoch and step."""
        self.messages.info(
            "attempt %s starts on %s, process %d, device %s, with %s, at epoch %d, step %d",
            info.id,
            info.host,
            info.pid,
            info.device,
            self.record.provenance.code_version,
            info.from_epoch,
            info.from_step,
        )

    def commit_progress(self, progress: Progress) -> bool:
        """Commit the result of a chunk of steps.

        Args:
            progress: the metrics of an epoch that ended, `Diverged`, or None within an epoch.

        Returns:
            Whether an epoch or an outcome was committed, not a checkpoint alone.
        """
        self._record_compilation()
        if isinstance(progress, Diverged):
            self.commit_outcome(Outcome.DIVERGED)
        elif self.trial is not None and progress is not None:
            self._commit_epoch(self.trial, progress)
            return True
        elif self.trial is not None and self.writer.checkpoint_is_due(within_epoch=True):
            self._write_checkpoint(self.trial)
        return self.is_done

    def _record_compilation(self) -> None:
        """Record which steps ran compiled or from a CUDA graph, and notify why others did not."""
        if self.trial is None:
            return
        steps = self.trial.steps
        if self.info is not None and getattr(steps, "is_graphed", False):
            self._set_info(replace(self.info, cuda_graphs=True))
        if self.info is not None and steps.compiled:
            self._set_info(replace(self.info, compiled=[list(pair) for pair in steps.compiled]))
        for line in steps.warnings:
            self._notify(line)

    def record_fused(self, num_networks: int) -> None:
        """Record that the trial has been trained as one network with others."""
        if self.info is not None:
            fused = max(num_networks, self.info.fused or 1)
            self._set_info(replace(self.info, fused=fused))

    def _set_info(self, info: AttemptInfo) -> None:
        """Set this attempt's entry, the last one, in the trial's record."""
        self.info = self.record.attempts[-1] = info

    def _notify(self, line: str) -> None:
        """Add a line for the user, once, and log it; the driver shows the line."""
        if line not in self.notices:
            self.notices.append(line)
            self.messages.warning("%s", line)

    @contextmanager
    def record_trial_errors(self) -> Iterator[None]:
        """Within the block, record an exception as the trial's outcome.

        `Terminated`, and errors of a checkpoint, are raised.
        """
        import torch

        from trainables import CheckpointDamaged, CheckpointTooNew

        try:
            yield
        except (CheckpointDamaged, CheckpointTooNew, Terminated):
            raise
        except Diverged:
            self.commit_outcome(Outcome.DIVERGED)
        except (torch.OutOfMemoryError, MemoryError) as error:
            if self.assignment.can_grow:
                self.suspend("out_of_memory")
            else:
                self.commit_outcome(Outcome.OUT_OF_MEMORY, error)
        except (Exception, SystemExit) as error:
            self.commit_outcome(Outcome.FAILED, error)

    def _commit_epoch(self, trial: Trial, metrics: EpochMetrics) -> None:
        """Record an epoch; write a checkpoint if one is due, or complete the trial."""
        self._require_current()
        self.record.add_epoch(metrics, self.usage.read() if self.usage else None)
        self.messages.info(
            "epoch %d of %d: train loss %.4f, test error %.2f %%, %.2f s to train, %.2f s to test",
            metrics.epoch,
            self.assignment.spec.train.epochs,
            metrics.train_loss,
            metrics.test_error,
            metrics.train_s,
            metrics.eval_s,
        )
        if trial.finished:
            self.record.weights_digest = trial.weights_digest
            self.writer.write_correct_examples(trial.correct_bits())
            self.writer.write_last_checkpoint_later(trial)
            self._record_outcome(Outcome.COMPLETED)
        else:
            if self.writer.checkpoint_is_due(within_epoch=False):
                self.writer.write_checkpoint(trial)
            self.writer.write_record(self.record)

    def _write_checkpoint(self, trial: Trial) -> None:
        """Begin to write a checkpoint, if no later attempt at the trial has begun."""
        self._require_current()
        self.writer.write_checkpoint(trial)

    @property
    def _attempt_id(self) -> str | None:
        """Id of this attempt; None before it is recorded."""
        return self.info.id if self.info else None

    def _require_current(self) -> None:
        """Raise `SupersededError` if another attempt at the trial has begun."""
        if self.info is not None and self.info.id is not None:
            self.writer.require_current_attempt(self.info.id)

    def suspend(self, why: str) -> None:
        """End the attempt without an outcome, for the reason `why`; an interrupted one writes a
        checkpoint.
        """
        self.stopped_for = why
        self.messages.info("attempt %s is suspended: %s", self._attempt_id, why)
        if self.trial is not None and self.info is not None:
            if why == "interrupted":
                self._write_checkpoint(self.trial)
            self._set_info(replace(self.info, ended=utc_now(), stopped_for=why))
            self.writer.write_record(self.record)
        self.release()
        self.log.settle(LOG_UPLOAD_S)

    def commit_outcome(self, outcome: Outcome, error: BaseException | None = None) -> None:
        """Commit the trial's outcome, with the error that it ended in, if any."""
        self._require_current()
        self._record_outcome(outcome, error)

    def _record_outcome(self, outcome: Outcome, error: BaseException | None = None) -> None:
        """Write the outcome, and the error if any, to the record, and release the model."""
        record = self.record
        record.outcome = outcome
        if self.trial is not None:
            # Epochs beyond are of an earlier attempt, whose checkpoints were damaged.
            del record.epochs[self.trial.epoch :]
        if self.info is not None:
            self._set_info(replace(self.info, ended=utc_now()))
        if error is not None:
            text = "".join(traceback.format_exception(error))
            message = str(error).strip() or type(error).__name__
            record.error = TrialError(type(error).__name__, message, text)
            self.folder.save_traceback(text)
            self.messages.error("attempt %s ends: %s", self._attempt_id, outcome, exc_info=error)
        else:
            self.messages.info("attempt %s ends: %s", self._attempt_id, outcome)
            self.folder.delete_traceback()
        self.writer.write_record(record)
        self.release()
