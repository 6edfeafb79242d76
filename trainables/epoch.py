"""The training of one epoch, in stretches of steps between which a trial may be put aside."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from trainables.backend import convolutions_for
from trainables.data.batches import EpochExamples, longest_chunk
from trainables.data.load import Dataset
from trainables.errors import Diverged
from trainables.observe import TrainingObserver
from trainables.optim import lr_for
from trainables.seeding import SeededGlobalRng
from trainables.spec import TrialSpec
from trainables.stepping.eager import Steps

CHUNK_S = 2.0
"""What a stretch of steps is to take at most; where a step takes longer, it is a stretch."""

FIRST_CHUNK_STEPS = 10
"""Before anything is known of how long a step takes."""


class ChunkSizer:
    """How many steps a stretch takes: so few that it lasts seconds, however slow the model.

    No result depends on it.
    """

    def __init__(self, batch_size: int) -> None:
        self.longest = longest_chunk(batch_size)
        self.num_steps = min(FIRST_CHUNK_STEPS, self.longest)

    def observe(self, num_steps: int, seconds: float) -> None:
        """Take in how long so many steps took."""
        wanted = int(num_steps * CHUNK_S / max(seconds, 1e-9))
        self.num_steps = max(1, min(wanted, self.longest))


class TrainingEpoch:
    """One epoch's training: how far it is, and the sums of what it has seen.

    Between two stretches all that the rest of the epoch depends on is in the model, the optimizer
    and `state_dict`. The sums do not depend on where the stretches end.

    Attributes:
        epoch: its number, from 1.
        lr: its learning rate.
        num_steps: optimizer steps done.
        train_s: seconds of training so far.
    """

    def __init__(
        self, model: nn.Module, steps: Steps, dataset: Dataset, spec: TrialSpec, *, epoch: int
    ) -> None:
        self.model, self.steps, self.dataset, self.spec = model, steps, dataset, spec
        self.epoch = epoch
        self.lr = lr_for(spec, epoch)
        self.examples = EpochExamples(
            dataset,
            batch_size=spec.optimizer_batch_size,
            augment=spec.data.augment,
            seed=spec.seed,
            epoch=epoch,
        )
        self.device = dataset.train.labels.device
        self.dropout = SeededGlobalRng(spec.seed, "dropout", epoch, device=self.device)
        self.observer = TrainingObserver(model, spec.train)
        self.num_steps, self.loss_sum, self.num_wrong, self.train_s = 0, 0.0, 0, 0.0

    @property
    def is_done(self) -> bool:
        """Whether all steps have been taken."""
        return self.num_steps >= self.examples.num_batches

    @property
    def train_loss(self) -> float:
        """Mean loss over the steps, in nats."""
        return self.loss_sum / self.num_steps

    @property
    def train_error(self) -> float:
        """Error over the steps, in percent."""
        return 100 * self.num_wrong / (self.num_steps * self.spec.optimizer_batch_size)

    def advance(self, pace: ChunkSizer) -> None:
        """Train for a stretch; `Diverged` if a loss, or a weight at the end, is not finite.

        Only at a stretch's end the device is waited for.
        """
        start = time.perf_counter()
        self.model.train()
        images, labels = self.examples.stretch(self.num_steps, pace.num_steps)
        with (
            self.dropout,
            convolutions_for(self.dataset, batch_size=self.spec.batch_size),
            self.observer,
        ):
            losses, wrong = self.steps.take(images, labels, self.lr, self.observer)
        self.add_losses(losses, wrong)
        self.steps.waited(len(losses))
        seconds = time.perf_counter() - start
        self.train_s += seconds
        pace.observe(len(losses), seconds - self.steps.once_s)

    def add_losses(self, losses: Tensor, wrong: Tensor) -> None:
        """Count a stretch's steps by their losses, `(n,)`, and which examples were wrong.

        Raises `Diverged` if a loss, or a weight at the epoch's end, is not finite.
        """
        if not losses.isfinite().all():
            first = int(losses.isfinite().long().argmin())
            raise Diverged(self.epoch, self.num_steps + first + 1)
        for loss in losses.tolist():
            self.loss_sum += loss
        self.num_steps += len(losses)
        self.num_wrong += int(wrong.sum())
        if self.is_done:
            self._require_finite_weights()

    def _require_finite_weights(self) -> None:
        finite = [parameter.isfinite().all() for parameter in self.model.parameters()]
        if not torch.stack(finite).all():
            raise Diverged(self.epoch, None)

    def state_dict(self) -> dict[str, Any]:
        """What `load_state_dict` needs to go on between two stretches."""
        return {
            "num_steps": self.num_steps,
            "loss_sum": self.loss_sum,
            "num_wrong": self.num_wrong,
            "train_s": self.train_s,
            "dropout": self.dropout.state_dict(),
            "observer": self.observer.state_dict(),
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from `state_dict`."""
        self.num_steps, self.num_wrong = state["num_steps"], state["num_wrong"]
        self.loss_sum, self.train_s = state["loss_sum"], state["train_s"]
        self.dropout.load_state_dict(state["dropout"])
        self.observer.load_state_dict(state["observer"], self.device)
