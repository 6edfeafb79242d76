"""The training of one epoch: chunks of optimizer steps, each one operation after another.

Between two chunks a trial can be checkpointed. `trainables.stepping` takes the steps in other ways:
compiled, or replayed from a CUDA graph.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from typing import Any, TypeAlias

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from trainables.backend import faster_convolutions
from trainables.data.batches import EpochExamples, longest_chunk
from trainables.data.load import Dataset
from trainables.errors import Diverged
from trainables.observe import TrainingObserver
from trainables.optim import Sgd, learning_rate_at
from trainables.precision import autocast_forward
from trainables.seeding import SeededGlobalRng, derive_stream_seed
from trainables.spec import TrialSpec

CHUNK_S = 2.0
"""Seconds that a chunk of steps takes at most; a step that takes longer is a chunk by itself."""

FIRST_CHUNK_STEPS = 10
"""Steps of the first chunk, when the duration of a step is not yet known."""

BatchFunction: TypeAlias = Callable[
    [nn.Module, Tensor, Tensor, int, AbstractContextManager[Any]], tuple[Tensor, Tensor]
]
"""From a model, images, labels, the batches of a step and the context of forward passes to a
batch's detached loss and logits. The batch's share of the step's gradients is added to the
parameters' gradients. Labels `(B,)` give `()` and `(B, K)`; labels `(B, S)` of S networks side by
side give `(S,)` and `(B S, K)`."""

Ranges: TypeAlias = list[list[int | None]]
"""Ranges `[first, end]` of steps, counted from 0; an end of None is open."""


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
