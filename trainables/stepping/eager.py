"""A batch's loss, and the optimizer's steps of a stretch, one operation after another."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any, TypeAlias

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from trainables.observe import TrainingObserver
from trainables.optim import Sgd
from trainables.precision import autocast_forward
from trainables.spec import TrialSpec

Batch: TypeAlias = Callable[
    [nn.Module, Tensor, Tensor, int, AbstractContextManager[Any]], tuple[Tensor, Tensor]
]
"""From a model, images, labels, the batches of a step and the forward pass's precision to a batch's
loss and logits, which no gradient reaches; the step's gradients have the batch's added. Labels
`(B,)`: `()` and `(B, K)`. Of S networks side by side, labels `(B, S)`: `(S,)` and `(B S, K)`."""

Ranges: TypeAlias = list[list[int | None]]


def forward(model: nn.Module, x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
    """A batch's mean loss in nats, which gradients reach, and its logits (see `Batch`)."""
    if y.dim() == 1:
        logits = model(x)
        return F.cross_entropy(logits, y), logits.detach()
    logits = model(x).view(y.numel(), -1)
    each = F.cross_entropy(logits, y.reshape(-1), reduction="none")
    return each.view(y.shape).mean(0), logits.detach()


def mean_over_step(loss: Tensor, batches_per_step: int) -> Tensor:
    """What a batch adds to the loss that a step descends; of S networks, each has its own."""
    total = loss if loss.dim() == 0 else loss.sum()
    return total if batches_per_step == 1 else total / batches_per_step


def batch(
    model: nn.Module,
    x: Tensor,
    y: Tensor,
    batches_per_step: int,
    precision: AbstractContextManager[Any],
) -> tuple[Tensor, Tensor]:
    """A `Batch`, one operation after another."""
    with precision:
        loss, logits = forward(model, x, y)
    mean_over_step(loss, batches_per_step).backward()  # type: ignore[no-untyped-call]
    return loss.detach(), logits


class Steps:
    """The optimizer's steps of a trial, or of several side by side.

    Args:
        model: is given a batch at a time.
        spec: says how many batches a step averages the gradients of.

    Attributes:
        batch: what is done with a batch.
        number: optimizer steps taken since the trial began.
        compiled: the steps that ran compiled, as ranges `[first, end]`; None: to the last one yet.
        remarks: what a person should know of how the steps were taken, a line each.
        once_s: seconds of the last `take` that a next one will not take.
        is_held: whether to go on as now, while somebody else times the steps.
    """

    def __init__(self, model: nn.Module, optimizer: Sgd, spec: TrialSpec) -> None:
        self.model, self.optimizer = model, optimizer
        self.size = spec.batch_size
        self.batches_per_step = spec.optimizer_batch_size // spec.batch_size
        self.batch: Batch = batch
        self.precision = autocast_forward(spec.train, next(model.parameters()).device)
        self.number = 0
        self.compiled: Ranges = []
        self.remarks: list[str] = []
        self.once_s = 0.0
        self.is_held = False

    def take(
        self, images: Tensor, labels: Tensor, lr: float, observer: TrainingObserver
    ) -> tuple[Tensor, Tensor]:
        """One step after another: each one's loss, and which examples were wrong.

        For images of n steps of B examples and labels `(n B,)` these are `(n,)` and `(n B,)`; for
        labels `(n B, S)` of S networks, `(n, S)` and `(n B, S)`.
        """
        self._keep_count()
        found = self.run(images, labels, lr, observer)
        self.number += len(found[0])
        return found

    def run(
        self, images: Tensor, labels: Tensor, lr: float | Tensor, observer: TrainingObserver
    ) -> tuple[Tensor, Tensor]:
        """As `take`, but for counting."""
        losses, logits = [], []
        pairs = zip(torch.split(images, self.size), torch.split(labels, self.size), strict=True)
        for number, (x, y) in enumerate(pairs, start=1):
            loss, output = self.batch(self.model, x, y, self.batches_per_step, self.precision)
            losses.append(loss)
            logits.append(output)
            if number % self.batches_per_step == 0:
                observer.before_update()
                self.optimizer.step(lr)
        per_step = torch.stack(losses).view(-1, self.batches_per_step, *labels.shape[1:]).mean(1)
        return per_step, torch.cat(logits).argmax(1).view_as(labels) != labels

    def waited(self, num_steps: int) -> None:
        """Told that the device has finished the steps of the last `take`."""

    def continue_from(self, number: int, compiled: Ranges) -> None:
        """Stand at a step of a trial of which these steps ran compiled."""
        self.number = number
        self.compiled = [list(pair) for pair in compiled]

    @property
    def is_compiled(self) -> bool:
        """Whether batches run compiled as things stand."""
        return self.batch is not batch

    def _keep_count(self) -> None:
        """Begin or end a range of compiled steps, if the next step is the first that is other."""
        was_compiled = bool(self.compiled) and self.compiled[-1][1] is None
        if self.is_compiled and not was_compiled:
            self.compiled.append([self.number, None])
        elif was_compiled and not self.is_compiled:
            self.compiled[-1][1] = self.number
