"""What can go wrong with a trial, told apart so that a caller can answer each in its own way."""

from __future__ import annotations


class Diverged(Exception):  # noqa: N818 - an outcome, not an accident
    """The training loss or a weight became NaN or infinite. Nothing finite counts as diverged.

    `epoch` counts from 1; `step` counts the epoch's optimizer steps from 1, and is None where
    the losses stayed finite and the weights did not. Epochs yielded before it remain valid.
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
    """A spec that cannot be trained as it stands; the one-line message names the layer."""


class NotFusable(ValueError):  # noqa: N818 - a property of a model; its seeds train singly
    """A model whose seeds cannot be trained as one network; the message names the layer."""


class NotDeterministic(RuntimeError):  # noqa: N818 - a property of a layer on a device
    """A layer that cannot give the same bits every time, in a trial that asks for them."""


class CheckpointDamaged(ValueError):  # noqa: N818
    """Bytes that are no checkpoint, or not all of one."""


class CheckpointTooNew(ValueError):  # noqa: N818
    """A checkpoint that a newer version of the program wrote."""


class DataUnavailable(RuntimeError):  # noqa: N818
    """A data set that is not where it was looked for, or damaged there; says how to get it."""


def describe_error(error: BaseException) -> str:
    """The error's type and message on one line, to be quoted in another message."""
    return f"{type(error).__name__}: {' '.join(str(error).split())}"
