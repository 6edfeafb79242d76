"""The training of one epoch in chunks of steps; between two chunks a trial can be checkpointed."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from trainables.backend import faster_convolutions
from trainables.data.batches import EpochExamples, longest_chunk
from trainables.data.load import Dataset
from trainables.errors import Diverged
from trainables.observe import TrainingObserver
from trainables.optim import learning_rate_at
from trainables.seeding import SeededGlobalRng, derive_stream_seed
from trainables.spec import TrialSpec
from trainables.stepping.eager import Steps

CHUNK_S = 2.0
"""Seconds that a chunk of steps takes at most; a step that takes longer is a chunk by itself."""

FIRST_CHUNK_STEPS = 10
"""Steps of the first chunk, when the duration of a step is not yet known."""


class ChunkSizer:
    """The number of steps of the next chunk, chosen so that a chunk takes about `CHUNK_S` seconds.

    No result depends on the number.

    Attributes:
        num_steps: steps of the next chunk.
        longest: the upper limit of `num_steps`.
    """

    def __init__(self, batch_size: int) -> None:
        self.longest = longest_chunk(batch_size)
        self.num_steps = min(FIRST_CHUNK_STEPS, self.longest)

    def observe(self, num_steps: int, seconds: float) -> None:
        """Set the size of the next chunk from the seconds that `num_steps` steps took."""
        most = int(num_steps * CHUNK_S / max(seconds, 1e-9))
        self.num_steps = max(1, min(most, self.longest))


class TrainingEpoch:
    """One epoch's training: its position, and the sums of losses and errors so far.

    Between two chunks everything that the rest of the epoch depends on is in the model, the
    optimizer and `state_dict`. The sums do not depend on where the chunks end.

    Attributes:
        epoch: number of the epoch, from 1.
        lr: learning rate of the epoch.
        num_steps: optimizer steps done.
        train_s: seconds of training so far.
    """

    def __init__(
        self, model: nn.Module, steps: Steps, dataset: Dataset, spec: TrialSpec, *, epoch: int
    ) -> None:
        self.model, self.steps, self.dataset, self.spec = model, steps, dataset, spec
        self.epoch = epoch
        self.lr = learning_rate_at(spec, epoch)
        seed = derive_stream_seed(spec)
        self.examples = EpochExamples(
            dataset,
            batch_size=spec.optimizer_batch_size,
            augment=spec.data.augment,
            seed=seed,
            epoch=epoch,
        )
        self.device = dataset.train.labels.device
        self.dropout = SeededGlobalRng(seed, "dropout", epoch, device=self.device)
        self.observer = TrainingObserver(model, spec.train)
        self.num_steps, self.loss_sum, self.num_wrong, self.train_s = 0, 0.0, 0, 0.0

    @property
    def is_done(self) -> bool:
        """Whether all steps of the epoch have been taken."""
        return self.num_steps >= self.examples.num_batches

    @property
    def train_loss(self) -> float:
        """Mean loss over the steps so far, in nats."""
        return self.loss_sum / self.num_steps

    @property
    def train_error(self) -> float:
        """Error over the steps so far, in percent."""
        return 100 * self.num_wrong / (self.num_steps * self.spec.optimizer_batch_size)

    def train_chunk(self, chunk_sizer: ChunkSizer) -> None:
        """Train for one chunk of steps, of the size that `chunk_sizer` gives, and update its size.

        The program waits for the device at the end of a chunk only.

        Raises:
            Diverged: a loss, or at the epoch's end a weight, is not finite.
        """
        start = time.perf_counter()
        self.model.train()
        images, labels = self.examples.chunk(self.num_steps, chunk_sizer.num_steps)
        with (
            self.dropout,
            faster_convolutions(self.dataset, batch_size=self.spec.batch_size),
            self.observer,
        ):
            losses, wrong = self.steps.run_steps(images, labels, self.lr, self.observer)
        self.add_losses(losses, wrong)
        self.steps.record_completion(len(losses))
        seconds = time.perf_counter() - start
        self.train_s += seconds
        chunk_sizer.observe(len(losses), seconds - self.steps.one_time_s)

    def add_losses(self, losses: Tensor, wrong: Tensor) -> None:
        """Add the steps of a chunk to the epoch's sums.

        Args:
            losses: the mean loss of each step, `(n,)`.
            wrong: which examples were classified wrongly, bool.

        Raises:
            Diverged: a loss, or at the epoch's end a weight, is not finite.
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
        """Raise `Diverged` if a parameter of the model is NaN or infinite."""
        finite = [parameter.isfinite().all() for parameter in self.model.parameters()]
        if not torch.stack(finite).all():
            raise Diverged(self.epoch, None)

    def state_dict(self) -> dict[str, Any]:
        """Return the state from which `load_state_dict` continues between two chunks."""
        return {
            "num_steps": self.num_steps,
            "loss_sum": self.loss_sum,
            "num_wrong": self.num_wrong,
            "train_s": self.train_s,
            "dropout": self.dropout.state_dict(),
            "observer": self.observer.state_dict(),
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Continue from a state that `state_dict` returned."""
        self.num_steps, self.num_wrong = state["num_steps"], state["num_wrong"]
        self.loss_sum, self.train_s = state["loss_sum"], state["train_s"]
        self.dropout.load_state_dict(state["dropout"])
        self.observer.load_state_dict(state["observer"], self.device)
