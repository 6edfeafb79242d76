"""What a record says of each attempt at its trial, and of the error that ended the trial."""

from __future__ import annotations

from dataclasses import dataclass

from sweep.records.json_fields import JsonFields

StepRanges = list[list[int | None]]
"""Ranges of optimizer steps, `[first, end]` each; end None: to the last step."""


@dataclass(frozen=True, kw_only=True)
class AttemptInfo(JsonFields):
    """What a trial's record holds of one attempt.

    Attributes:
        id: 8 hex digits; a worker whose id is not the last attempt's has been superseded.
        started: when the training began, UTC, ISO 8601.
        host: name of the machine.
        pid: process that trained.
        device: `cpu` or `cuda`.
        driver: token of the lease of the driver that started the worker; empty: no driver.
        source: digest of the files of the custom layer, model and data set; empty: none is custom.
        data: digest of a custom data set; empty for a built-in one.
        from_epoch: finished epochs of the checkpoint that the attempt resumed.
        from_step: optimizer steps into the next epoch of that checkpoint.
        ended: when the attempt ended, UTC, ISO 8601; None while it runs, or if its worker was lost.
        cuda_graphs: whether steps were replayed from a CUDA graph.
        fused: how many seeds were trained as one network, at most.
        compiled: the optimizer steps that ran compiled.
        stopped_for: why the attempt ended without an outcome.
    """

    WRITTEN_AS_NULL = frozenset({"ended"})

    id: str | None = None
    started: str
    host: str | None = None
    pid: int | None = None
    device: str | None = None
    driver: str | None = None
    source: str | None = None
    data: str | None = None
    from_epoch: int | None = None
    from_step: int | None = None
    ended: str | None = None
    cuda_graphs: bool | None = None
    fused: int | None = None
    compiled: StepRanges | None = None
    stopped_for: str | None = None


@dataclass(frozen=True)
class TrialError:
    """The error that ended a trial: name of its type, its text and its traceback."""

    type: str
    message: str
    traceback: str
