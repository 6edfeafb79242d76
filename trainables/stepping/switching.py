"""Steps that run compiled where a policy says so."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace
from typing import Literal, TypeAlias

import torch
from torch import Tensor, nn

from trainables.data.load import Dataset
from trainables.epoch import Ranges, Steps, run_batch
from trainables.observe import TrainingObserver
from trainables.optim import Sgd
from trainables.spec import TrialSpec
from trainables.stepping import compile_cache, graphed
from trainables.stepping.compile_support import reason_not_compilable
from trainables.stepping.compiled import (
    NoCompiler,
    NotCompilable,
    compile_batch,
    is_compiled_in_process,
)
from trainables.stepping.policy import AutoPolicy, FixedRanges, Policy

Compilation: TypeAlias = bool | Literal["auto"] | Sequence[Sequence[int | None]]
"""Which steps are compiled: none, all, those for which compiling pays, or the given ranges."""

ALWAYS: Ranges = [[0, None]]
"""The range of all steps."""


REUSE_S = 0.1
"""Seconds that a trial needs to reuse steps that its process has compiled for another seed."""


def build_steps(
    model: nn.Module,
    optimizer: Sgd,
    spec: TrialSpec,
    dataset: Dataset,
    compilation: Compilation,
    num_networks: int = 1,
    *,
    cuda_graphs: bool = False,
) -> Steps:
    """Return the steps of a trial, or of several trials side by side.

    Args:
        model: the model, or the network of several trials.
        optimizer: updates the model's parameters.
        spec: the trial; of several trials any one, since they differ in their seed alone.
        dataset: images and labels on the training device.
        compilation: which steps are compiled.
        num_networks: trials side by side.
        cuda_graphs: whether to replay steps that are not compiled, on a GPU.
    """
    is_on_gpu = dataset.train.labels.device.type == "cuda"
    if (
        cuda_graphs
        and is_on_gpu
        and not compilation
        and graphed.reason_not_graphable(spec, model) is None
    ):
        return graphed.GraphedSteps(model, optimizer, spec)
    if compilation is False or compilation == [] or reason_not_compilable(spec.train) is not None:
        return Steps(model, optimizer, spec)
    cell = compile_cache.cell_key(spec, dataset, num_networks)
    if compilation == "auto":
        per_epoch = len(dataset.train) // spec.optimizer_batch_size
        policy: Policy = build_auto_policy(cell, model, spec.train.epochs * per_epoch)
    else:
        ranges = ALWAYS if compilation is True else compilation
        policy = FixedRanges([list(pair) for pair in ranges])
    return SwitchingSteps(model, optimizer, spec, policy, cell)


def build_auto_policy(cell: str, model: nn.Module, num_steps: int) -> AutoPolicy:
    """Return the policy for a cell, from stored statistics and what the process has compiled."""
    known = compile_cache.read_statistics(cell) or compile_cache.estimate_statistics(model)
    if is_compiled_in_process(cell):
        cost_s = known.compile_s
        return AutoPolicy(
            num_steps,
            replace(known, compile_s=REUSE_S),
            on_measured=lambda found: compile_cache.write_statistics(
                cell, replace(found, compile_s=cost_s)
            ),
        )
    return AutoPolicy(
        num_steps, known, on_measured=lambda found: compile_cache.write_statistics(cell, found)
    )


class SwitchingSteps(Steps):
    """Steps that run compiled or eagerly, as a policy decides before each chunk.

    `compiled` holds the ranges of the steps that ran compiled.
    """

    def __init__(
        self, model: nn.Module, optimizer: Sgd, spec: TrialSpec, policy: Policy, cell: str
    ) -> None:
        super().__init__(model, optimizer, spec)
        self.policy, self.cell = policy, cell
        self.label = f"steps of {spec.norm.name} at batch size {spec.batch_size}"
        # Of a thread's own time, work of others on the same cores takes nothing.
        own = next(model.parameters()).device.type == "cpu" and torch.get_num_threads() == 1
        self._clock = time.thread_time if own else time.perf_counter
        self._began: float | None = None

    def run_steps(
        self, images: Tensor, labels: Tensor, lr: float, observer: TrainingObserver
    ) -> tuple[Tensor, Tensor]:
        """Take steps as `Steps.run_steps`, switching within the chunk where the policy says so."""
        self.one_time_s = 0.0
        found, per_step = [], self.size * self.batches_per_step
        while len(images):
            if not self.is_switching_paused:
                self._switch(images[: self.size], labels[: self.size])
            mark = self.policy.next_change(self.number)
            here = len(images) if mark is None else (mark - self.number) * per_step
            self._began = self._clock()
            found.append(super().run_steps(images[:here], labels[:here], lr, observer))
            images, labels = images[here:], labels[here:]
            self._handle_fallback()
        losses, wrong = zip(*found, strict=True)
        return torch.cat(losses), torch.cat(wrong)

    def record_completion(self, num_steps: int) -> None:
        """Tell the policy how long the chunk took."""
        if self._began is not None and not self.is_switching_paused:
            seconds = self._clock() - self._began
            self.policy.observe(num_steps, seconds, compiled=self.is_compiled)

    def restore_position(self, number: int, compiled: Ranges) -> None:
        """Set how many steps were taken and which ran compiled; keep the kind of the last step."""
        super().restore_position(number, compiled)
        if compiled and not isinstance(self.policy, FixedRanges):
            self.policy = FixedRanges(compiled)

    def _switch(self, x: Tensor, y: Tensor) -> None:
        """Compile the next steps, or return to eager ones, if the policy says so."""
        wanted = self.policy.should_compile(self.number)
        if wanted and not self.is_compiled:
            self._compile(x, y)
        elif not wanted and self.is_compiled:
            self.batch = run_batch

    def _compile(self, x: Tensor, y: Tensor) -> None:
        """Compile the steps with a batch; if this fails, stay eager with a warning."""
        start = time.perf_counter()
        try:
            self.batch = compile_batch(
                self.cell, self.model, x, y, self.batches_per_step, self.precision
            )
        except NoCompiler as why:
            self._stay_eager(f"steps are not compiled: {why}")
            return
        except NotCompilable as why:
            self._stay_eager(f"{self.label} are not compiled: {why}")
            return
        finally:
            self.one_time_s += time.perf_counter() - start
        self.policy.record_compilation(self.one_time_s)

    def _stay_eager(self, warning: str) -> None:
        """Take all further steps eagerly and warn the user."""
        self.policy = FixedRanges([])
        self.warnings.append(warning)

    def _handle_fallback(self) -> None:
        """Stay eager if the compiled batch has fallen back to eager execution."""
        why = getattr(self.batch, "fallback_reason", None)
        if why is not None and self.is_compiled:
            self.batch = run_batch
            self._stay_eager(f"{self.label} are not compiled: {why}")
