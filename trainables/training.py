"""The training of one trial from its spec, epoch by epoch.

`train(spec)` trains a trial from beginning to end. `Trial` does the same in chunks of seconds,
for a caller that stores checkpoints between chunks and later continues from one, to the same bits.
"""

from __future__ import annotations

import io
import math
import os
import time
from collections.abc import Iterator

import numpy as np
import torch

from trainables import checkpoint as checkpoints
from trainables.data.custom import set_custom_data_root
from trainables.data.load import load_dataset
from trainables.data.lookup import dataset_info
from trainables.determinism import configure_cublas, deterministic_algorithms
from trainables.epoch import ChunkSizer, TrainingEpoch
from trainables.errors import CheckpointDamaged
from trainables.evaluate import TrialEvaluation, evaluate_trials
from trainables.feasibility import check_values
from trainables.memory import retain_allocator_memory
from trainables.models.build import build_model, prepare_convolutions
from trainables.models.initialise import set_initial_weights
from trainables.norms import SeededNorms
from trainables.observe import layer_at
from trainables.optim import Sgd
from trainables.precision import apply_memory_format
from trainables.seeding import SeededGlobalRng, derive_stream_seed
from trainables.spec import Dimensions, EpochMetrics, TrialSpec, is_custom
from trainables.stepping.switching import Compilation, build_steps
from trainables.threshold import TimeToThreshold


def train(
    spec: TrialSpec,
    *,
    data_root: str | os.PathLike[str] | None = None,
    device: torch.device | str | None = None,
    compilation: Compilation = False,
    checkpoint: bytes | None = None,
) -> Iterator[EpochMetrics]:
    """Train a trial to its end and yield the metrics of each epoch as it finishes.

    Args:
        spec: the trial; `check_feasibility(spec)` tells beforehand whether it can be trained.
        data_root: folder of the data sets (default: `$NORM_SWEEP_DATA`, else
            `~/.cache/norm-sweep/data`).
        device: device to train on (default: the GPU if there is one, else the CPU).
        compilation: whether the steps run compiled (`torch.compile`); `auto`: where that pays.
        checkpoint: bytes of `Trial.state()` to continue from; its epochs are not yielded again.

    Yields:
        The metrics of each epoch.

    Raises:
        Diverged: the loss or a weight became NaN or infinite; epochs yielded before are valid.
        NotDeterministic: the spec asks for the same bits every time, and a layer cannot do that.
        DataUnavailable: the data set is not in the root.
        CheckpointDamaged: the checkpoint is not as it was written.
        CheckpointTooNew: a newer version of the program wrote the checkpoint.
        ValueError: a wrong spec, or the checkpoint of another trial.

    Examples:
        >>> spec = TrialSpec(
        ...     norm=NormSpec(name="batchnorm"),
        ...     batch_size=8,
        ...     seed=0,
        ...     data=DataSpec(name="digits", num_train=64, num_test=32),
        ...     model=ModelSpec(name="resnet8", width=4),
        ...     train=TrainSpec(epochs=2),
        ... )
        >>> epochs = list(train(spec, device="cpu"))
        >>> [metrics.epoch for metrics in epochs]
        [1, 2]
        >>> isinstance(epochs[0], EpochMetrics)
        True
    """
    trial = Trial(spec, data_root=data_root, device=device, compilation=compilation)
    if checkpoint is not None:
        trial.load_state(checkpoint)
    while not trial.finished:
        yield trial.run_epoch()


class Trial:
    """One trial in training, which can stop and continue between two chunks of steps.

    Args:
        spec: what to train.
        data_root: folder of the data sets, as for `train`.
        device: device to train on (default: the GPU if there is one, else the CPU).
        compilation: whether the steps run compiled, as for `train`.
        cuda_graphs: whether steps on a GPU are replayed from a CUDA graph.

    Attributes:
        epoch: finished epochs.
        num_updates: optimizer steps in the finished epochs.
        model: the model in training, on `device`.
        norms: its norm layers, in the order in which they were built.
        correct: which test examples were classified correctly after the last epoch of this
            process, bool `(num_test,)` in the split's order; None before the first test.
        dimensions: counts of classes, examples, parameters and updates.
        chunk_sizer: the number of steps of the next chunk.
        steps: how optimizer steps are taken; `steps.compiled` says which of them ran compiled.

    Raises:
        ValueError: a wrong spec.
        Infeasible: a spec that cannot be trained.
        DataUnavailable: the data set is not in the root.

    Examples:
        >>> spec = TrialSpec(
        ...     norm=NormSpec(name="batchnorm"),
        ...     batch_size=8,
        ...     seed=0,
        ...     data=DataSpec(name="digits", num_train=64, num_test=32),
        ...     model=ModelSpec(name="resnet8", width=4),
        ...     train=TrainSpec(epochs=2),
        ... )
        >>> first = Trial(spec, device="cpu")
        >>> first.run_epoch().num_updates
        8
        >>> second = Trial(spec, device="cpu")
        >>> second.load_state(first.state())
        >>> second.run_epoch().train_loss == first.run_epoch().train_loss
        True
    """

    def __init__(
        self,
        spec: TrialSpec,
        *,
        data_root: str | os.PathLike[str] | None = None,
        device: torch.device | str | None = None,
        compilation: Compilation = False,
        cuda_graphs: bool = False,
    ) -> None:
        if is_custom(spec.data.name):
            set_custom_data_root(data_root if spec.data.digest else None)
        check_values(spec)
        self.spec = spec
        self.device = torch.device(device or ("cuda" if torch.cuda.is_available() else "cpu"))
        configure_cublas(self.device)
        retain_allocator_memory()
        self.dataset = load_dataset(spec.data, root=data_root, device=self.device)
        seed = derive_stream_seed(spec)
        norms = SeededNorms(spec.norm, seed=seed)
        # A custom model may keep the weights that its constructor draws under the seed.
        with SeededGlobalRng(seed, "init", device=self.device):
            self.model = build_model(
                spec.model,
                in_channels=self.dataset.train.images.shape[1],
                num_classes=self.dataset.num_classes,
                norm=norms,
            )
        set_initial_weights(spec.model, self.model, norms=norms.built, seed=seed)
        prepare_convolutions(self.model, dataset_info(spec.data).shape)
        self.model.to(self.device)
        self.model, self.dataset = apply_memory_format(spec.train, self.model, self.dataset)
        if spec.train.watch is not None:
            layer_at(self.model, spec.train.watch)
        self.norms = norms.built
        self.optimizer = Sgd(self.model, spec.train.optimizer, norms=self.norms)
        self.compilation, self.cuda_graphs = compilation, cuda_graphs
        self.steps = build_steps(
            self.model, self.optimizer, spec, self.dataset, compilation, cuda_graphs=cuda_graphs
        )
        self.epoch = 0
        self.num_updates = 0
        self.best_test_error = math.inf
        self.to_threshold = TimeToThreshold(spec.train.threshold)
        self.correct: torch.Tensor | None = None
        self.chunk_sizer = ChunkSizer(spec.optimizer_batch_size)
        self.current: TrainingEpoch | None = None

    @property
    def finished(self) -> bool:
        """Whether all epochs of the spec have run."""
        return self.epoch >= self.spec.train.epochs

    @property
    def dimensions(self) -> Dimensions:
        """Counts of classes, examples, parameters and updates of the spec."""
        num_train = len(self.dataset.train)
        return Dimensions(
            num_classes=self.dataset.num_classes,
            num_train=num_train,
            num_test=len(self.dataset.test),
            num_parameters=sum(parameter.numel() for parameter in self.model.parameters()),
            updates_per_epoch=num_train // self.spec.optimizer_batch_size,
        )

    def run_epoch(self) -> EpochMetrics:
        """Train to the epoch's end, test, and return the epoch's metrics; raises as `advance`."""
        while True:
            metrics = self.advance()
            if metrics is not None:
                return metrics

    def advance(self) -> EpochMetrics | None:
        """Train for one chunk of steps, or, if the epoch's steps are done, test; return metrics.

        A chunk takes seconds, or one step if a step takes longer. Returns None after a chunk.

        Raises:
            Diverged: the loss or a weight is not finite; the trial cannot continue.
            NotDeterministic: a layer has no deterministic algorithm, and the spec asks for one.
        """
        with deterministic_algorithms(self.spec.train.deterministic):
            return self._advance()

    def _advance(self) -> EpochMetrics | None:
        """Advance within the determinism settings that the caller has made."""
        current = self.current_epoch()
        if not current.is_done:
            current.train_chunk(self.chunk_sizer)
            return None
        start = time.perf_counter()
        (tested,) = evaluate_trials(self.model, self.dataset, [self.spec], epoch=current.epoch)
        return self.finish_epoch(current, tested, eval_s=time.perf_counter() - start)

    def current_epoch(self) -> TrainingEpoch:
        """Return the epoch in training; begin the next one if none is in training."""
        if self.current is None:
            self.current = self._begin_epoch()
        return self.current

    def _begin_epoch(self) -> TrainingEpoch:
        """Return the epoch after the last finished one, at its first step."""
        return TrainingEpoch(self.model, self.steps, self.dataset, self.spec, epoch=self.epoch + 1)

    def finish_epoch(
        self, trained: TrainingEpoch, tested: TrialEvaluation, *, eval_s: float
    ) -> EpochMetrics:
        """Close a trained epoch with the results of its test, and return its metrics."""
        test, further = tested
        self.epoch, self.current = trained.epoch, None
        self.num_updates += trained.num_steps
        self.best_test_error = min(self.best_test_error, test.error)
        self.correct = test.correct
        self.to_threshold.observe(
            epoch=self.epoch,
            num_updates=self.num_updates,
            train_s=trained.train_s,
            test_error=test.error,
        )
        return EpochMetrics(
            epoch=self.epoch,
            train_loss=trained.train_loss,
            train_error=trained.train_error,
            test_loss=test.loss,
            test_error=test.error,
            best_test_error=self.best_test_error,
            lr=trained.lr,
            num_updates=self.num_updates,
            train_s=trained.train_s,
            eval_s=eval_s,
            extra={**further, **trained.observer.metrics(), **self.to_threshold.metrics()},
        )

    @property
    def steps_into_epoch(self) -> int:
        """Optimizer steps since the last finished epoch."""
        return self.current.num_steps if self.current else 0

    @property
    def weights_digest(self) -> str:
        """Digest of the bits of the model's present weights and buffers, 16 hex digits."""
        return checkpoints.weights_digest(self.model)

    def correct_bits(self) -> bytes:
        """Return `correct` as an .npy file of `numpy.packbits`.

        `numpy.unpackbits(..., count=num_test)` gives the bits again.

        Raises:
            ValueError: no epoch has run in this process.
        """
        if self.correct is None:
            raise ValueError("`correct_bits` needs an epoch, but none has run: call run_epoch()")
        file = io.BytesIO()
        np.save(file, np.packbits(self.correct.cpu().numpy()))
        return file.getvalue()

    def state(self) -> bytes:
        """Return the trial's present state as the bytes of a checkpoint, for `load_state`."""
        return checkpoints.serialize_state(
            {
                "trial_id": self.spec.trial_id,
                "epoch": self.epoch,
                "num_updates": self.num_updates,
                "best_test_error": self.best_test_error,
                "model": self.model.state_dict(),
                "optimizer": self.optimizer.state_dict(),
                "threshold": self.to_threshold.state_dict(),
                "current": self.current.state_dict() if self.current else None,
                "compiled": self.steps.compiled,
            }
        )

    def load_state(self, data: bytes) -> None:
        """Continue from the bytes that `state()` returned.

        Raises:
            CheckpointDamaged: the bytes are not as they were written, or another trial's.
            CheckpointTooNew: a newer version of the program wrote the bytes.
        """
        state = checkpoints.deserialize_state(data)
        if state["trial_id"] != self.spec.trial_id:
            raise CheckpointDamaged(
                f"the checkpoint belongs to trial {state['trial_id']}, not {self.spec.trial_id}"
            )
        self.model.load_state_dict(state["model"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.epoch = state["epoch"]
        self.num_updates = state["num_updates"]
        self.best_test_error = state["best_test_error"]
        self.to_threshold.load_state_dict(state["threshold"])
        self.current = None
        if state["current"] is not None:
            self.current = self._begin_epoch()
            self.current.load_state_dict(state["current"])
        self.steps.restore_position(
            self.num_updates + self.steps_into_epoch, state.get("compiled", [])
        )
