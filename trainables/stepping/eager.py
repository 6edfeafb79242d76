"""A batch's loss, and the optimizer's steps of a stretch, one operation after another."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from trainables.observe import TrainingObserver
from trainables.optim import Sgd
from trainables.spec import TrialSpec

Forward: TypeAlias = Callable[[nn.Module, Tensor, Tensor], tuple[Tensor, Tensor]]
"""From a model, images and labels to the loss, which gradients reach, and the logits, which none
do. Labels `(B,)`: `()` and `(B, K)`. Of S networks side by side, labels `(B, S)`: their losses
`(S,)` and `(B S, K)`."""


def forward(model: nn.Module, x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
    """A batch's mean loss in nats, and its logits (see `Forward`)."""
    if y.dim() == 1:
        logits = model(x)
        return F.cross_entropy(logits, y), logits.detach()
    logits = model(x).view(y.numel(), -1)
    each = F.cross_entropy(logits, y.reshape(-1), reduction="none")
    return each.view(y.shape).mean(0), logits.detach()


class Steps:
    """The optimizer's steps of a trial, or of several side by side.

    Args:
        model: is given a batch at a time.
        spec: says how many batches a step averages the gradients of.

    Attributes:
        forward: what is done with a batch.
    """

    def __init__(self, model: nn.Module, optimizer: Sgd, spec: TrialSpec) -> None:
        self.model, self.optimizer = model, optimizer
        self.size = spec.batch_size
        self.batches_per_step = spec.optimizer_batch_size // spec.batch_size
        self.forward: Forward = forward

    def take(
        self, images: Tensor, labels: Tensor, lr: float, observer: TrainingObserver
    ) -> tuple[Tensor, Tensor]:
        """One step after another: each one's loss, and which examples were wrong.

        For images of n steps of B examples and labels `(n B,)` these are `(n,)` and `(n B,)`; for
        labels `(n B, S)` of S networks, `(n, S)` and `(n B, S)`.
        """
        losses, logits = [], []
        pairs = zip(torch.split(images, self.size), torch.split(labels, self.size), strict=True)
        for number, (x, y) in enumerate(pairs, start=1):
            loss, output = self.forward(self.model, x, y)
            self._back(loss)
            losses.append(loss.detach())
            logits.append(output)
            if number % self.batches_per_step == 0:
                observer.before_update()
                self.optimizer.step(lr)
        per_step = torch.stack(losses).view(-1, self.batches_per_step, *labels.shape[1:]).mean(1)
        return per_step, torch.cat(logits).argmax(1).view_as(labels) != labels

    def _back(self, loss: Tensor) -> None:
        total = loss if loss.dim() == 0 else loss.sum()
        share = total if self.batches_per_step == 1 else total / self.batches_per_step
        share.backward()  # type: ignore[no-untyped-call]
