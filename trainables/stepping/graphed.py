"""Steps captured once in a CUDA graph and replayed: one launch for several steps.

A replay reads and writes tensors at fixed addresses: a chunk's images and labels are copied in,
the learning rate is a tensor, losses and errors are copied out. Decisions that Python makes from
one step to the next have no effect in a replay; a model that makes any is detected by replaying
steps that were also taken one by one.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeAlias

import torch
from torch import Tensor, nn

from trainables.epoch import Steps
from trainables.errors import describe_error
from trainables.observe import TrainingObserver
from trainables.optim import Sgd
from trainables.spec import TrialSpec

STEPS_PER_REPLAY = 8
"""Steps in the larger of the two graphs; the other holds one step."""

WARM_UP_RUNS = 3
"""Runs of the work before its capture, in which libraries initialise themselves."""

VERIFIED_STEPS = 2
"""Steps taken both ways: a change by Python from step to step shows in the second one."""

MAX_RELATIVE_DIFFERENCE = 0.01
"""Largest difference between both ways in an element, as a share of the tensor's largest change."""

Work: TypeAlias = Callable[[], None]
"""A computation on fixed tensors, to be captured."""

Capture: TypeAlias = Callable[[Work], Work]
"""Returns a function that repeats the work; capturing may run the work any number of times."""


def capture_steps(work: Work) -> Work:
    """Return a function that replays the computation `work` from a captured CUDA graph."""
    current = torch.cuda.current_stream()
    beside = torch.cuda.Stream()  # type: ignore[no-untyped-call]
    beside.wait_stream(current)
    with torch.cuda.stream(beside):
        for _ in range(WARM_UP_RUNS):
            work()
    current.wait_stream(beside)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph, capture_error_mode="thread_local"):
        work()
    return graph.replay


def reason_not_graphable(spec: TrialSpec, model: nn.Module) -> str | None:
    """Return why a trial's steps cannot be captured in a CUDA graph; None if no reason is known."""
    if spec.train.watch is not None or spec.train.extra_metrics:
        return "`watch` and `extra_metrics` read the model at every step"
    if any("Dropout" in type(layer).__name__ for layer in model.modules()):
        return "dropout would draw other numbers"
    return None


class _CapturedSteps:
    """A fixed number of captured steps with their input and output tensors."""

    def __init__(self, steps: GraphedSteps, images: Tensor, labels: Tensor) -> None:
        self.images, self.labels = images.clone(), labels.clone()
        self.lr = torch.zeros((), device=images.device)
        self.results: list[Tensor] = []
        self.observer = steps.idle_observer
        self.steps = steps
        self.repeat = steps.capture(self._work)

    def __call__(self, images: Tensor, labels: Tensor, lr: float) -> tuple[Tensor, Tensor]:
        self.images.copy_(images)
        self.labels.copy_(labels)
        self.lr.fill_(lr)
        self.repeat()
        losses, wrong = self.results
        return losses.clone(), wrong.clone()

    def _work(self) -> None:
        """Take the steps on the fixed tensors and copy the results into fixed tensors."""
        found = self.steps.run_uncounted_steps(self.images, self.labels, self.lr, self.observer)
        if not self.results:
            self.results = [torch.empty_like(result) for result in found]
        for result, value in zip(self.results, found, strict=True):
            result.copy_(value)


class GraphedSteps(Steps):
    """Steps of a trial, or of several side by side, replayed from a CUDA graph.

    The first chunk is captured, and two of its steps are taken both ways. If this fails or the
    results differ, the state is restored, a warning says why, and the steps are eager.

    Args:
        model: receives a batch at a time.
        optimizer: updates the model's parameters.
        spec: says how many batches a step averages the gradients of.
        capture: turns work into a function that repeats it.

    Attributes:
        is_graphed: whether steps are replayed; None before the first chunk.
    """

    def __init__(
        self, model: nn.Module, optimizer: Sgd, spec: TrialSpec, capture: Capture = capture_steps
    ) -> None:
        super().__init__(model, optimizer, spec)
        self.capture = capture
        self.idle_observer = TrainingObserver(model, spec.train)
        self.is_graphed: bool | None = None
        self._replays: dict[int, _CapturedSteps] = {}

    def run_steps(
        self, images: Tensor, labels: Tensor, lr: float, observer: TrainingObserver
    ) -> tuple[Tensor, Tensor]:
        """Take steps as `Steps.run_steps`, replayed in pieces of 8 steps and of one."""
        if self.is_graphed is None:
            self.is_graphed = self._capture_and_verify(images, labels, lr)
        if not self.is_graphed:
            return super().run_steps(images, labels, lr, observer)
        found, per_step = [], self.size * self.batches_per_step
        while len(images):
            number = max(n for n in self._replays if n * per_step <= len(images))
            here = number * per_step
            found.append(self._replays[number](images[:here], labels[:here], lr))
            images, labels = images[here:], labels[here:]
        losses, wrong = (torch.cat(parts) for parts in zip(*found, strict=True))
        self.number += len(losses)
        return losses, wrong

    def _capture_and_verify(self, images: Tensor, labels: Tensor, lr: float) -> bool:
        """Capture the steps; return whether replays agree with eager steps. Restores the state."""
        per_step = self.size * self.batches_per_step
        before = self._state()
        try:
            pieces = [
                (images[at:][:per_step], labels[at:][:per_step])
                for at in self._verified_positions(images)
            ]
            for x, y in pieces:
                self.run_uncounted_steps(x, y, lr, self.idle_observer)
            expected = self._state()
            self._set_state(before)
            self._replays[1] = _CapturedSteps(self, *pieces[0])
            many = STEPS_PER_REPLAY * per_step
            if len(images) >= many:
                self._replays[STEPS_PER_REPLAY] = _CapturedSteps(self, images[:many], labels[:many])
            self._set_state(before)
            for x, y in pieces:
                self._replays[1](x, y, lr)
            why = (
                None if _agree(self._state(), expected, before) else "they do not agree with others"
            )
        except Exception as error:  # whatever a layer, or CUDA, makes of being captured
            why = describe_error(error)
        self._set_state(before)
        for parameter in self.model.parameters():
            parameter.grad = None
        if why is not None:
            self._replays.clear()
            self.warnings.append(f"steps are not replayed from a CUDA graph: {why}")
        return why is None

    def _verified_positions(self, images: Tensor) -> list[int]:
        """Return the first image of each step to verify; a single step is verified twice."""
        per_step = self.size * self.batches_per_step
        return [per_step * (n % (len(images) // per_step)) for n in range(VERIFIED_STEPS)]

    def _state(self) -> list[Tensor]:
        """Return copies of all tensors that a step changes."""
        return [tensor.detach().clone() for tensor in self._tensors()]

    @torch.no_grad()
    def _set_state(self, state: Sequence[Tensor]) -> None:
        """Set all tensors that a step changes."""
        for tensor, value in zip(self._tensors(), state, strict=True):
            tensor.copy_(value)

    def _tensors(self) -> list[Tensor]:
        """Return the tensors that a step changes: parameters, buffers and velocities."""
        velocities = self.optimizer.velocities.values()
        return [*self.model.parameters(), *self.model.buffers(), *velocities]


def _agree(found: Sequence[Tensor], wanted: Sequence[Tensor], before: Sequence[Tensor]) -> bool:
    """Whether two states are equal but for rounding, relative to the change since `before`."""
    for value, expected, old in zip(found, wanted, before, strict=True):
        if not value.is_floating_point():
            if not torch.equal(value, expected):
                return False
        elif value.numel():
            moved = (expected - old).abs().max()
            # What only rounding moves, as a bias before a norm, moves by this much at most.
            rounding = 1e-6 * expected.abs().max().clamp(min=1)
            if not (value - expected).abs().max() <= MAX_RELATIVE_DIFFERENCE * moved + rounding:
                return False
    return True
