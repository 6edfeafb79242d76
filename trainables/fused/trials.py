"""Several trials of a cell trained as one network, each of them a trial in every way."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace
from typing import TypeAlias

import torch
from torch import Tensor

from trainables.backend import convolutions_for
from trainables.determinism import deterministic
from trainables.epoch import ChunkSizer, TrainingEpoch
from trainables.errors import Diverged
from trainables.evaluate import assess
from trainables.fused.network import FusedNetwork
from trainables.observe import TrainingObserver
from trainables.optim import Sgd
from trainables.spec import EpochMetrics
from trainables.stepping.switching import steps_for
from trainables.training import Trial

Progress: TypeAlias = EpochMetrics | Diverged | None
"""What became of a trial in one advance: a finished epoch, its end, or nothing to tell yet."""


class FusedTrials:
    """Trials that differ in their seed alone and stand at the same step, advanced together.

    Each keeps its own data order, streams, sums and state: `Trial.state()` is at any time what
    the trial goes on from, alone or in another group. Its numbers agree with those of the trial
    alone within rounding; its times are its share of the group's.

    Attributes:
        trials: those in training.

    Raises:
        ValueError: trials of different cells, or at different steps.
        NotFusable: the model has a layer that cannot serve several networks; it is named.
    """

    def __init__(self, trials: Sequence[Trial]) -> None:
        require_alike(trials)
        self.trials = list(trials)
        self._fuse()

    def _fuse(self) -> None:
        first = self.trials[0]
        self.pace = ChunkSizer(first.spec.optimizer_batch_size * len(self.trials))
        self.network = FusedNetwork([trial.model for trial in self.trials])
        norms = [self.network.edition_of(norm) for norm in first.norms]
        self.optimizer = Sgd(self.network.model, first.spec.train.optimizer, norms=norms)
        for shared in self.network.parameters:
            self.optimizer.velocities[shared.whole] = shared.joined(
                [t.optimizer.velocities[p] for t, p in zip(self.trials, shared.own, strict=True)]
            )
        self.steps = steps_for(
            self.network.model,
            self.optimizer,
            first.spec,
            first.dataset,
            first.compilation,
            num_networks=len(self.trials),
            cuda_graphs=first.cuda_graphs,
        )
        self.steps.continue_from(first.steps.number, first.steps.compiled)

    def hold(self, is_held: bool) -> None:
        """Leave the steps as they are, or no longer, while widths are timed."""
        self.steps.is_held = is_held

    @property
    def finished(self) -> bool:
        """Whether no trial is left in training, or no epoch."""
        return not self.trials or self.trials[0].finished

    def advance(self) -> list[Progress]:
        """As `Trial.advance`, for each of `trials` as they stand before the call.

        One that diverges leaves the group, and the others go on as if it had never been there.
        """
        with deterministic(self.trials[0].spec.train.deterministic):
            return self._advance()

    def _advance(self) -> list[Progress]:
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
        """Train for a stretch; which trials diverged in it."""
        start = time.perf_counter()
        first, num_networks = epochs[0], len(epochs)
        stretches = [x.examples.stretch(first.num_steps, self.pace.num_steps) for x in epochs]
        images = torch.cat([images for images, _ in stretches], 1)
        labels = torch.stack([labels for _, labels in stretches], 1)
        model, spec = self.network.model.train(), first.spec
        observer = TrainingObserver(model, spec.train, num_networks=num_networks)
        streams = [epoch.dropout.seed_global_rng() for epoch in epochs]
        self.network.draw_from(streams)
        with (
            convolutions_for(first.dataset, batch_size=spec.batch_size, num_networks=num_networks),
            observer,
        ):
            losses, wrong = self.steps.take(images, labels, first.lr, observer)
        ends = []
        for network, (epoch, stream) in enumerate(zip(epochs, streams, strict=True)):
            epoch.dropout.restore_global_rng(stream)
            epoch.observer.take_part(network, observer)
            ends.append(_taken_in(epoch, losses[:, network], wrong[:, network]))
        self.steps.waited(len(losses))
        for trial in self.trials:
            trial.steps.continue_from(self.steps.number, self.steps.compiled)
            trial.steps.remarks = self.steps.remarks
        seconds = time.perf_counter() - start
        self.pace.observe(len(losses), seconds - self.steps.once_s)
        for epoch in epochs:
            epoch.train_s += seconds / num_networks
        return ends

    def _test(self, epochs: Sequence[TrainingEpoch]) -> list[EpochMetrics]:
        start = time.perf_counter()
        first = epochs[0]
        specs = [trial.spec for trial in self.trials]
        tests = assess(self.network.model, first.dataset, specs, epoch=first.epoch)
        eval_s = (time.perf_counter() - start) / len(epochs)
        return [
            trial.finish_epoch(epoch, tested, eval_s=eval_s)
            for trial, epoch, tested in zip(self.trials, epochs, tests, strict=True)
        ]


def _taken_in(epoch: TrainingEpoch, losses: Tensor, wrong: Tensor) -> Diverged | None:
    try:
        epoch.add_losses(losses, wrong)
    except Diverged as end:
        return end
    return None


def require_alike(trials: Sequence[Trial]) -> None:
    """Raise `ValueError` unless the trials can take their steps together."""
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
