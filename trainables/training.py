"""One trial: a model trained from a spec, epoch by epoch.

`train(spec)` is the whole of it. `Trial` is the same in steps, for a caller that stores a
checkpoint after each epoch and goes on from it later, to the same bits.
"""

from __future__ import annotations

import io
import math
import os
import time
from collections.abc import Iterator

import numpy as np
import torch
import torch.nn.functional as F

import normmods
from trainables import checkpoint as checkpoints
from trainables.backend import convolutions_for
from trainables.data.batches import training_stretches
from trainables.data.load import load
from trainables.errors import Diverged
from trainables.evaluate import assess
from trainables.feasibility import check_values
from trainables.models.build import build_model
from trainables.models.initialise import initialise
from trainables.norms import SeededNorms
from trainables.observe import TrainingObserver, layer_at
from trainables.optim import Sgd, lr_for
from trainables.seeding import global_stream
from trainables.spec import Dimensions, EpochMetrics, TrialSpec
from trainables.threshold import TimeToThreshold


def train(
    spec: TrialSpec,
    *,
    data_root: str | os.PathLike[str] | None = None,
    device: torch.device | str | None = None,
    checkpoint: bytes | None = None,
) -> Iterator[EpochMetrics]:
    """Train a trial to its end and yield the metrics of each epoch as it finishes.

    Args:
        spec: the trial; `check(spec)` tells beforehand whether it can be trained.
        data_root: folder of the data sets (default: see `data.data_root`).
        device: where to train (default: the GPU if there is one, else the CPU).
        checkpoint: `Trial.state()` to go on from; its epochs are not yielded again.

    Raises:
        Diverged: the loss or a weight became NaN or infinite; epochs yielded before are valid.
        DataUnavailable: the data set is not in the root.
        CheckpointDamaged: the checkpoint is not as it was written.
        ValueError: the spec, or the checkpoint of another trial.
    """
    trial = Trial(spec, data_root=data_root, device=device)
    if checkpoint is not None:
        trial.load_state(checkpoint)
    while not trial.finished:
        yield trial.run_epoch()


class Trial:
    """A trial between two epochs.

    Attributes:
        epoch: finished epochs.
        num_updates: optimizer steps since the trial began.
        model: the model in training, on `device`.
        correct: which test examples were right after the last epoch of this process, bool
            `(num_test,)` in the split's order; None before there was one.
        dimensions: counts of classes, examples, parameters and updates.
    """

    def __init__(
        self,
        spec: TrialSpec,
        *,
        data_root: str | os.PathLike[str] | None = None,
        device: torch.device | str | None = None,
    ) -> None:
        check_values(spec)
        self.spec = spec
        self.device = torch.device(device or ("cuda" if torch.cuda.is_available() else "cpu"))
        self.dataset = load(spec.data, root=data_root, device=self.device)
        norms = SeededNorms(spec.norm, seed=spec.seed)
        # The constructors draw weights that `initialise` then replaces.
        with global_stream(spec.seed, "init", device=self.device):
            self.model = build_model(
                spec.model,
                in_channels=self.dataset.train.images.shape[1],
                num_classes=self.dataset.num_classes,
                norm=norms,
            )
        initialise(self.model, norms=norms.built, seed=spec.seed)
        normmods.prepare(self.model).to(self.device)
        if spec.train.watch is not None:
            layer_at(self.model, spec.train.watch)
        self.optimizer = Sgd(self.model, spec.train.optimizer, norms=norms.built)
        self.epoch = 0
        self.num_updates = 0
        self.best_test_error = math.inf
        self.to_threshold = TimeToThreshold(spec.train.threshold)
        self.correct: torch.Tensor | None = None

    @property
    def finished(self) -> bool:
        """Whether all epochs of the spec have run."""
        return self.epoch >= self.spec.train.epochs

    @property
    def dimensions(self) -> Dimensions:
        """What the spec amounts to."""
        num_train = len(self.dataset.train)
        return Dimensions(
            num_classes=self.dataset.num_classes,
            num_train=num_train,
            num_test=len(self.dataset.test),
            num_parameters=sum(parameter.numel() for parameter in self.model.parameters()),
            updates_per_epoch=num_train // self.spec.optimizer_batch_size,
        )

    def run_epoch(self) -> EpochMetrics:
        """Train for one epoch, then test; raises `Diverged`, after which the trial is over."""
        epoch = self.epoch + 1
        lr = lr_for(self.spec, epoch)
        start = time.perf_counter()
        with (
            global_stream(self.spec.seed, "dropout", epoch, device=self.device),
            convolutions_for(self.dataset, batch_size=self.spec.batch_size),
            TrainingObserver(self.model, self.spec.train) as observer,
        ):
            train_loss, train_error = self._train_epoch(epoch, lr, observer)
        trained = time.perf_counter()
        test, further = assess(self.model, self.dataset, self.spec, epoch=epoch)
        tested = time.perf_counter()
        self.epoch = epoch
        self.num_updates += self.dimensions.updates_per_epoch
        self.best_test_error = min(self.best_test_error, test.error)
        self.correct = test.correct
        self.to_threshold.observe(
            epoch=epoch,
            num_updates=self.num_updates,
            train_s=trained - start,
            test_error=test.error,
        )
        return EpochMetrics(
            epoch=epoch,
            train_loss=train_loss,
            train_error=train_error,
            test_loss=test.loss,
            test_error=test.error,
            best_test_error=self.best_test_error,
            lr=lr,
            num_updates=self.num_updates,
            train_s=trained - start,
            eval_s=tested - trained,
            extra={**further, **observer.metrics(), **self.to_threshold.metrics()},
        )

    def _train_epoch(
        self, epoch: int, lr: float, observer: TrainingObserver
    ) -> tuple[float, float]:
        """Mean loss and error in percent over the epoch's steps.

        The device is waited for once a stretch of steps: there a loss that is not finite shows.
        """
        self.model.train()
        steps, loss_sum, num_wrong = 0, 0.0, 0
        size = self.spec.optimizer_batch_size
        for images, labels in training_stretches(
            self.dataset,
            batch_size=size,
            augment=self.spec.data.augment,
            seed=self.spec.seed,
            epoch=epoch,
        ):
            losses, wrong = self._train_stretch(images, labels, lr, observer)
            if not losses.isfinite().all():
                raise Diverged(epoch, steps + 1 + int(losses.isfinite().long().argmin()))
            steps += len(losses)
            loss_sum += losses.double().sum().item()
            num_wrong += int(wrong.sum())
        finite = [parameter.isfinite().all() for parameter in self.model.parameters()]
        if not torch.stack(finite).all():
            raise Diverged(epoch, None)
        return loss_sum / steps, 100 * num_wrong / (steps * size)

    def _train_stretch(
        self, images: torch.Tensor, labels: torch.Tensor, lr: float, observer: TrainingObserver
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """One optimizer step after another: each one's loss, and which examples were wrong.

        The model is given a batch at a time. A step of several batches averages their gradients.
        """
        losses, logits = [], []
        size = self.spec.batch_size
        batches_per_step = self.spec.optimizer_batch_size // size
        batches = zip(torch.split(images, size), torch.split(labels, size), strict=True)
        for number, (x, y) in enumerate(batches, start=1):
            output = self.model(x)
            loss = F.cross_entropy(output, y)
            share = loss if batches_per_step == 1 else loss / batches_per_step
            share.backward()  # type: ignore[no-untyped-call]
            losses.append(loss.detach())
            logits.append(output.detach())
            if number % batches_per_step == 0:
                observer.before_update()
                self.optimizer.step(lr)
        per_step = torch.stack(losses).view(-1, batches_per_step).mean(1)
        return per_step, torch.cat(logits).argmax(1) != labels

    @property
    def weights_digest(self) -> str:
        """Names the bits of the weights and buffers as they stand."""
        return checkpoints.weights_digest(self.model)

    def correct_bits(self) -> bytes:
        """`correct` as an .npy file of `numpy.packbits`; `numpy.unpackbits(..., count=num_test)`.

        Raises `ValueError` before an epoch has run in this process.
        """
        if self.correct is None:
            raise ValueError("`correct_bits` needs an epoch, but none has run: call run_epoch()")
        file = io.BytesIO()
        np.save(file, np.packbits(self.correct.cpu().numpy()))
        return file.getvalue()

    def state(self) -> bytes:
        """The trial as it stands between two epochs, to be given to `load_state`."""
        return checkpoints.to_bytes(
            {
                "trial_id": self.spec.trial_id,
                "epoch": self.epoch,
                "num_updates": self.num_updates,
                "best_test_error": self.best_test_error,
                "model": self.model.state_dict(),
                "optimizer": self.optimizer.state_dict(),
                "threshold": self.to_threshold.state_dict(),
            }
        )

    def load_state(self, data: bytes) -> None:
        """Go on from `state()`; raises `CheckpointDamaged`, `ValueError` for another trial's."""
        state = checkpoints.from_bytes(data)
        if state["trial_id"] != self.spec.trial_id:
            raise ValueError(
                f"the checkpoint belongs to trial {state['trial_id']}, not {self.spec.trial_id}"
            )
        self.model.load_state_dict(state["model"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.epoch = state["epoch"]
        self.num_updates = state["num_updates"]
        self.best_test_error = state["best_test_error"]
        self.to_threshold.load_state_dict(state["threshold"])
