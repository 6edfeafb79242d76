"""Steps that are compiled where that pays, or where it is wanted."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace
from typing import Literal, TypeAlias

import torch
from torch import Tensor, nn

from trainables.data.load import Dataset
from trainables.observe import TrainingObserver
from trainables.optim import Sgd
from trainables.spec import TrialSpec
from trainables.stepping import compile_cache as notes
from trainables.stepping import eager, graphed
from trainables.stepping.compile_support import reason_not_compilable
from trainables.stepping.compiled import NoCompiler, NotCompilable, compiled_batch, is_ready
from trainables.stepping.eager import Ranges, Steps
from trainables.stepping.policy import AutoPolicy, FixedRanges, Policy

Compilation: TypeAlias = bool | Literal["auto"] | Sequence[Sequence[int | None]]
"""Which steps are compiled: none, all, those for which it pays, or these ranges."""

ALWAYS: Ranges = [[0, None]]

READY_S = 0.1
"""What it costs a trial to take over steps that its process has compiled for another seed."""


def steps_for(
    model: nn.Module,
    optimizer: Sgd,
    spec: TrialSpec,
    dataset: Dataset,
    compilation: Compilation,
    num_networks: int = 1,
    *,
    cuda_graphs: bool = False,
) -> Steps:
    """The steps of a trial, or of several side by side whose specs differ in the seed alone.

    CUDA graphs are for steps that are not compiled, on a GPU.
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
    cell = notes.cell_of(spec, dataset, num_networks)
    if compilation == "auto":
        per_epoch = len(dataset.train) // spec.optimizer_batch_size
        policy: Policy = auto_for(cell, model, spec.train.epochs * per_epoch)
    else:
        ranges = ALWAYS if compilation is True else compilation
        policy = FixedRanges([list(pair) for pair in ranges])
    return SwitchingSteps(model, optimizer, spec, policy, cell)


def auto_for(cell: str, model: nn.Module, num_steps: int) -> AutoPolicy:
    """The decision for a cell by what is known of it and of this process."""
    known = notes.read(cell) or notes.expected(model)
    if is_ready(cell):
        cost_s = known.compile_s
        return AutoPolicy(
            num_steps,
            replace(known, compile_s=READY_S),
            learnt=lambda found: notes.write(cell, replace(found, compile_s=cost_s)),
        )
    return AutoPolicy(num_steps, known, learnt=lambda found: notes.write(cell, found))


class SwitchingSteps(Steps):
    """Steps that a policy has compiled or not; which ones they were is in `compiled`."""

    def __init__(
        self, model: nn.Module, optimizer: Sgd, spec: TrialSpec, policy: Policy, cell: str
    ) -> None:
        super().__init__(model, optimizer, spec)
        self.policy, self.cell = policy, cell
        self.whose = f"steps of {spec.norm.name} at batch size {spec.batch_size}"
        # Of a thread's own time, work of others on the same cores takes nothing.
        own = next(model.parameters()).device.type == "cpu" and torch.get_num_threads() == 1
        self._clock = time.thread_time if own else time.perf_counter
        self._began: float | None = None

    def take(
        self, images: Tensor, labels: Tensor, lr: float, observer: TrainingObserver
    ) -> tuple[Tensor, Tensor]:
        """As `Steps.take`; where the policy says so, other steps of the stretch run otherwise."""
        self.once_s = 0.0
        found, per_step = [], self.size * self.batches_per_step
        while len(images):
            if not self.is_held:
                self._switch(images[: self.size], labels[: self.size])
            mark = self.policy.until(self.number)
            here = len(images) if mark is None else (mark - self.number) * per_step
            self._began = self._clock()
            found.append(super().take(images[:here], labels[:here], lr, observer))
            images, labels = images[here:], labels[here:]
            self._see_whether_it_gave_up()
        losses, wrong = zip(*found, strict=True)
        return torch.cat(losses), torch.cat(wrong)

    def waited(self, num_steps: int) -> None:
        """Tell the policy how long the stretch took."""
        if self._began is not None and not self.is_held:
            seconds = self._clock() - self._began
            self.policy.observe(num_steps, seconds, compiled=self.is_compiled)

    def continue_from(self, number: int, compiled: Ranges) -> None:
        """As in `Steps`; what ran compiled at last goes on so, and what went back stays eager."""
        super().continue_from(number, compiled)
        if compiled and not isinstance(self.policy, FixedRanges):
            self.policy = FixedRanges(compiled)

    def _switch(self, x: Tensor, y: Tensor) -> None:
        wanted = self.policy.wants(self.number)
        if wanted and not self.is_compiled:
            self._compile(x, y)
        elif not wanted and self.is_compiled:
            self.batch = eager.batch

    def _compile(self, x: Tensor, y: Tensor) -> None:
        start = time.perf_counter()
        try:
            self.batch = compiled_batch(
                self.cell, self.model, x, y, self.batches_per_step, self.precision
            )
        except NoCompiler as why:
            self._stay_eager(f"steps are not compiled: {why}")
            return
        except NotCompilable as why:
            self._stay_eager(f"{self.whose} are not compiled: {why}")
            return
        finally:
            self.once_s += time.perf_counter() - start
        self.policy.compiled_in(self.once_s)

    def _stay_eager(self, remark: str) -> None:
        self.policy = FixedRanges([])
        self.remarks.append(remark)

    def _see_whether_it_gave_up(self) -> None:
        why = getattr(self.batch, "gave_up", None)
        if why is not None and self.is_compiled:
            self.batch = eager.batch
            self._stay_eager(f"{self.whose} are not compiled: {why}")
