"""The exceptions of a trial, one class for each case that a caller handles in another way."""

from __future__ import annotations


class Diverged(Exception):  # noqa: N818 - an outcome, not an accident
    """The training loss or a weight became NaN or infinite; finite values never count as diverged.

    Epochs that were yielded before remain valid.

    Attributes:
        epoch: the epoch in which it happened, from 1.
        step: the epoch's optimizer step, from 1; None if the losses stayed finite and only a
            weight did not.
    """

    def __init__(self, epoch: int, step: int | None) -> None:
        super().__init__(epoch, step)
        self.epoch = epoch
        self.step = step

    def __str__(self) -> str:
        if self.step is None:
            return f"a weight is not finite after epoch {self.epoch}"
        return f"the training loss is not finite at step {self.step} of epoch {self.epoch}"


class Infeasible(ValueError):  # noqa: N818 - a property of a cell, found before it is trained
    """A spec that cannot be trained; the one-line message names the layer that fails."""


class NotFusable(ValueError):  # noqa: N818 - a property of a model; its seeds train singly
    """A model whose seeds cannot be trained as one network; the message names the layer."""


class NotDeterministic(RuntimeError):  # noqa: N818 - a property of a layer on a device
    """A layer without a deterministic algorithm, in a trial with `deterministic: true`."""


class CheckpointDamaged(ValueError):  # noqa: N818
    """Bytes that are not a complete, unchanged checkpoint."""


class CheckpointTooNew(ValueError):  # noqa: N818
    """A checkpoint that a newer version of the program wrote."""


class DataUnavailable(RuntimeError):  # noqa: N818
    """A data set that is missing or damaged; the message says how to get the data set."""


def describe_error(error: BaseException) -> str:
    """Return the error's type and message on one line, for use in another message."""
    return f"{type(error).__name__}: {' '.join(str(error).split())}"
