"""A batch's loss, and the optimizer's steps of a chunk, one operation after another."""

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

BatchFunction: TypeAlias = Callable[
    [nn.Module, Tensor, Tensor, int, AbstractContextManager[Any]], tuple[Tensor, Tensor]
]
"""From a model, images, labels, the batches of a step and the context of forward passes to a
batch's detached loss and logits. The batch's share of the step's gradients is added to the
parameters' gradients. Labels `(B,)` give `()` and `(B, K)`; labels `(B, S)` of S networks side by
side give `(S,)` and `(B S, K)`."""

Ranges: TypeAlias = list[list[int | None]]
"""Ranges `[first, end]` of steps, counted from 0; an end of None is open."""


def compute_loss(model: nn.Module, x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
    """Return a batch's mean loss in nats, with gradient, and its detached logits.

    The shapes are those of `BatchFunction`.
    """
    if y.dim() == 1:
        logits = model(x)
        return F.cross_entropy(logits, y), logits.detach()
    logits = model(x).view(y.numel(), -1)
    each = F.cross_entropy(logits, y.reshape(-1), reduction="none")
    return each.view(y.shape).mean(0), logits.detach()


def scale_to_step(loss: Tensor, batches_per_step: int) -> Tensor:
    """Return a batch's contribution to the loss of a step, summed over networks."""
    total = loss if loss.dim() == 0 else loss.sum()
    return total if batches_per_step == 1 else total / batches_per_step


def run_batch(
    model: nn.Module,
    x: Tensor,
    y: Tensor,
    batches_per_step: int,
    precision: AbstractContextManager[Any],
) -> tuple[Tensor, Tensor]:
    """Compute a batch one operation after another, as a `BatchFunction`."""
    with precision:
        loss, logits = compute_loss(model, x, y)
    scale_to_step(loss, batches_per_step).backward()  # type: ignore[no-untyped-call]
    return loss.detach(), logits


class Steps:
    """Takes the optimizer's steps of a trial, or of several trials side by side, eagerly.

    Args:
        model: receives a batch at a time.
        optimizer: updates the model's parameters.
        spec: says how many batches a step averages the gradients of.

    Attributes:
        batch: the function that computes a batch.
        number: optimizer steps taken since the trial began.
        compiled: the steps that ran compiled, as ranges `[first, end]`; an end of None is open.
        warnings: lines for the user about how the steps were taken.
        one_time_s: seconds of the last `run_steps` that a next call will not take.
        is_switching_paused: whether to keep the way of taking steps, while a caller times them.
    """

    def __init__(self, model: nn.Module, optimizer: Sgd, spec: TrialSpec) -> None:
        self.model, self.optimizer = model, optimizer
        self.size = spec.batch_size
        self.batches_per_step = spec.optimizer_batch_size // spec.batch_size
        self.batch: BatchFunction = run_batch
        self.precision = autocast_forward(spec.train, next(model.parameters()).device)
        self.number = 0
        self.compiled: Ranges = []
        self.warnings: list[str] = []
        self.one_time_s = 0.0
        self.is_switching_paused = False

    def run_steps(
        self, images: Tensor, labels: Tensor, lr: float, observer: TrainingObserver
    ) -> tuple[Tensor, Tensor]:
        """Take steps with the images, one after another, and count them.

        Args:
            images: images of n steps of B examples, `(n B, C, H, W)`.
            labels: `(n B,)`, or `(n B, S)` of S networks.
            lr: learning rate.
            observer: reads gradients before each update.

        Returns:
            Each step's loss, `(n,)` or `(n, S)`, and which examples were wrong, as `labels`.
        """
        self._update_compiled_ranges()
        found = self.run_uncounted_steps(images, labels, lr, observer)
        self.number += len(found[0])
        return found

    def run_uncounted_steps(
        self, images: Tensor, labels: Tensor, lr: float | Tensor, observer: TrainingObserver
    ) -> tuple[Tensor, Tensor]:
        """Take steps as `run_steps`, without counting them."""
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

    def record_completion(self, num_steps: int) -> None:
        """Take note that the device has finished the `num_steps` steps of the last `run_steps`."""

    def restore_position(self, number: int, compiled: Ranges) -> None:
        """Set the number of steps taken so far, and which of them ran compiled."""
        self.number = number
        self.compiled = [list(pair) for pair in compiled]

    @property
    def is_compiled(self) -> bool:
        """Whether the next batch runs compiled."""
        return self.batch is not run_batch

    def _update_compiled_ranges(self) -> None:
        """Begin or end a range of compiled steps if the next step differs from the last one."""
        was_compiled = bool(self.compiled) and self.compiled[-1][1] is None
        if self.is_compiled and not was_compiled:
            self.compiled.append([self.number, None])
        elif was_compiled and not self.is_compiled:
            self.compiled[-1][1] = self.number
