"""Training of several trials of a cell as one network, each with its own record and state."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace
from typing import TypeAlias

import torch
from torch import Tensor

from trainables.backend import faster_convolutions
from trainables.determinism import deterministic_algorithms
from trainables.epoch import ChunkSizer, TrainingEpoch
from trainables.errors import Diverged
from trainables.evaluate import evaluate_trials
from trainables.fused.network import FusedNetwork
from trainables.observe import TrainingObserver
from trainables.optim import Sgd
from trainables.spec import EpochMetrics
from trainables.stepping.switching import build_steps
from trainables.training import Trial

Progress: TypeAlias = EpochMetrics | Diverged | None
"""The result of one advance of a trial: a finished epoch, its divergence, or None in an epoch."""


class FusedTrials:
    """Trials that differ in their seed alone and are at the same step, trained as one network.

    Each trial keeps its own data order, streams, sums and state: `Trial.state()` is at any time a
    checkpoint from which the trial continues, alone or in another group. Its numbers agree with
    those of the trial alone within rounding; its times are its share of the group's.

    Args:
        trials: at least one; all at the same epoch and step.

    Attributes:
        trials: the trials in training.

    Raises:
        ValueError: trials of different cells, or at different steps.
        NotFusable: the model has a layer that cannot serve several networks; it is named.
    """

    def __init__(self, trials: Sequence[Trial]) -> None:
        require_same_cell_and_step(trials)
        self.trials = list(trials)
        self._fuse()

    def _fuse(self) -> None:
        """Build network, optimizer and steps from the trials' present state."""
        first = self.trials[0]
        self.chunk_sizer = ChunkSizer(first.spec.optimizer_batch_size * len(self.trials))
        self.network = FusedNetwork([trial.model for trial in self.trials])
        norms = [self.network.fused_layer(norm) for norm in first.norms]
        self.optimizer = Sgd(self.network.model, first.spec.train.optimizer, norms=norms)
        for shared in self.network.parameters:
            self.optimizer.velocities[shared.whole] = shared.join(
                [t.optimizer.velocities[p] for t, p in zip(self.trials, shared.parts, strict=True)]
            )
        self.steps = build_steps(
            self.network.model,
            self.optimizer,
            first.spec,
            first.dataset,
            first.compilation,
            num_networks=len(self.trials),
            cuda_graphs=first.cuda_graphs,
        )
        self.steps.restore_position(first.steps.number, first.steps.compiled)

    def pause_switching(self, is_switching_paused: bool) -> None:
        """Set whether the trials keep their present kind of steps, eager or compiled.

        The switch is paused while the speed of different numbers of fused networks is compared.
        """
        self.steps.is_switching_paused = is_switching_paused

    @property
    def finished(self) -> bool:
        """Whether no trial is left in training, or all epochs have run."""
        return not self.trials or self.trials[0].finished

    def advance(self) -> list[Progress]:
        """Advance all trials as `Trial.advance`, and return the progress of each, in order.

        A trial that diverges leaves the group; the others continue as if it had never been there.
        """
        with deterministic_algorithms(self.trials[0].spec.train.deterministic):
            return self._advance()

    def _advance(self) -> list[Progress]:
        """Advance within the determinism settings that the caller has made."""
        epochs = [trial.current_epoch() for trial in self.trials]
        if epochs[0].is_done:
            return list(self._test(epochs))
        ends = self._train(epochs)
        if any(ends):
            self.trials = [t for t, end in zip(self.trials, ends, strict=True) if end is None]
            if self.trials:
                self._fuse()
        return list(ends)

    def _train(self, epochs: Sequence[TrainingEpoch]) -> list[Diverged | None]:
        """Train for a chunk of steps, and return for each trial its divergence or None."""
        start = time.perf_counter()
        first, num_networks = epochs[0], len(epochs)
        chunks = [x.examples.chunk(first.num_steps, self.chunk_sizer.num_steps) for x in epochs]
        images = torch.cat([images for images, _ in chunks], 1)
        labels = torch.stack([labels for _, labels in chunks], 1)
        model, spec = self.network.model.train(), first.spec
        observer = TrainingObserver(model, spec.train, num_networks=num_networks)
        streams = [epoch.dropout.to_generator() for epoch in epochs]
        self.network.set_dropout_streams(streams)
        with (
            faster_convolutions(
                first.dataset, batch_size=spec.batch_size, num_networks=num_networks
            ),
            observer,
        ):
            losses, wrong = self.steps.run_steps(images, labels, first.lr, observer)
        ends = []
        for network, (epoch, stream) in enumerate(zip(epochs, streams, strict=True)):
            epoch.dropout.load_generator(stream)
            epoch.observer.add_network(network, observer)
            ends.append(_add_losses(epoch, losses[:, network], wrong[:, network]))
        self.steps.record_completion(len(losses))
        for trial in self.trials:
            trial.steps.restore_position(self.steps.number, self.steps.compiled)
            trial.steps.warnings = self.steps.warnings
        seconds = time.perf_counter() - start
        self.chunk_sizer.observe(len(losses), seconds - self.steps.one_time_s)
        for epoch in epochs:
            epoch.train_s += seconds / num_networks
        return ends

    def _test(self, epochs: Sequence[TrainingEpoch]) -> list[EpochMetrics]:
        """Test all networks and return the metrics of each trial's epoch."""
        start = time.perf_counter()
        first = epochs[0]
        specs = [trial.spec for trial in self.trials]
        tests = evaluate_trials(self.network.model, first.dataset, specs, epoch=first.epoch)
        eval_s = (time.perf_counter() - start) / len(epochs)
        return [
            trial.finish_epoch(epoch, tested, eval_s=eval_s)
            for trial, epoch, tested in zip(self.trials, epochs, tests, strict=True)
        ]


def _add_losses(epoch: TrainingEpoch, losses: Tensor, wrong: Tensor) -> Diverged | None:
    """Add the losses of a chunk to the epoch; return the divergence, if any."""
    try:
        epoch.add_losses(losses, wrong)
    except Diverged as end:
        return end
    return None


def require_same_cell_and_step(trials: Sequence[Trial]) -> None:
    """Raise `ValueError` unless the trials differ in their seed alone and are at the same step."""
    if not trials:
        raise ValueError("`len(trials) >= 1` must hold, but got no trial")
    first = trials[0]
    for trial in trials[1:]:
        if replace(trial.spec, seed=first.spec.seed) != first.spec:
            raise ValueError(
                f"fused trials must differ in their seed alone, but got trial "
                f"{trial.spec.trial_id} beside {first.spec.trial_id}"
            )
        places = [(t.epoch, t.steps_into_epoch) for t in (first, trial)]
        if places[0] != places[1]:
            raise ValueError(
                f"fused trials must stand at the same (epoch, step), but got {places[0]} and "
                f"{places[1]}: advance the one that is behind alone"
            )
