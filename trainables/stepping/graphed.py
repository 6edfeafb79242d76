"""Steps captured once in a CUDA graph and replayed: a launch for several steps, not for a kernel.

What is replayed reads and writes tensors that stay where they are: a stretch's images and labels
are copied in, the learning rate is a tensor, losses and errors are copied out. Nothing that Python
decides from one step to the next takes part; a model of which that is not true is found by
replaying steps that were also taken one by one.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeAlias

import torch
from torch import Tensor, nn

from trainables.errors import describe_error
from trainables.observe import TrainingObserver
from trainables.optim import Sgd
from trainables.spec import TrialSpec
from trainables.stepping.eager import Steps

STEPS_PER_REPLAY = 8
WARM_UP = 3
"""Times that the work runs before it is captured, for libraries to set themselves up."""

TRIED_STEPS = 2
"""Steps taken both ways: what Python changes from step to step shows in the second one."""

AGREEMENT = 0.01
"""Of what steps changed in a tensor, by so much at most the other way may differ in any element."""

Work: TypeAlias = Callable[[], None]
Capture: TypeAlias = Callable[[Work], Work]
"""From work to what repeats it. Of the work itself it may have done any number of repetitions."""


def capture_steps(work: Work) -> Work:
    """The work as a CUDA graph."""
    current = torch.cuda.current_stream()
    beside = torch.cuda.Stream()  # type: ignore[no-untyped-call]
    beside.wait_stream(current)
    with torch.cuda.stream(beside):
        for _ in range(WARM_UP):
            work()
    current.wait_stream(beside)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph, capture_error_mode="thread_local"):
        work()
    return graph.replay


def reason_not_graphable(spec: TrialSpec, model: nn.Module) -> str | None:
    """What keeps a trial's steps out of a graph, in a few words; None: nothing that is known."""
    if spec.train.watch is not None or spec.train.extra_metrics:
        return "`watch` and `extra_metrics` read the model at every step"
    if any("Dropout" in type(layer).__name__ for layer in model.modules()):
        return "dropout would draw other numbers"
    return None


class _Replay:
    """So many steps on tensors of their own."""

    def __init__(self, steps: GraphedSteps, images: Tensor, labels: Tensor) -> None:
        self.images, self.labels = images.clone(), labels.clone()
        self.lr = torch.zeros((), device=images.device)
        self.results: list[Tensor] = []
        self.observer = steps.unobserved
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
        found = self.steps.run(self.images, self.labels, self.lr, self.observer)
        if not self.results:
            self.results = [torch.empty_like(result) for result in found]
        for result, value in zip(self.results, found, strict=True):
            result.copy_(value)


class GraphedSteps(Steps):
    """Steps of a trial, or of several side by side, replayed from a graph.

    The first stretch is captured, and two of its steps are taken both ways. Where that fails or
    does not agree, all is as it was before, a remark says why, and the steps are eager.

    Args:
        capture: makes of work what repeats it.

    Attributes:
        is_graphed: whether steps are replayed; None before it has been tried.
    """

    def __init__(
        self, model: nn.Module, optimizer: Sgd, spec: TrialSpec, capture: Capture = capture_steps
    ) -> None:
        super().__init__(model, optimizer, spec)
        self.capture = capture
        self.unobserved = TrainingObserver(model, spec.train)
        self.is_graphed: bool | None = None
        self._replays: dict[int, _Replay] = {}

    def take(
        self, images: Tensor, labels: Tensor, lr: float, observer: TrainingObserver
    ) -> tuple[Tensor, Tensor]:
        """As `Steps.take`; the pieces do not depend on where stretches end but in their number."""
        if self.is_graphed is None:
            self.is_graphed = self._try(images, labels, lr)
        if not self.is_graphed:
            return super().take(images, labels, lr, observer)
        found, per_step = [], self.size * self.batches_per_step
        while len(images):
            number = max(n for n in self._replays if n * per_step <= len(images))
            here = number * per_step
            found.append(self._replays[number](images[:here], labels[:here], lr))
            images, labels = images[here:], labels[here:]
        losses, wrong = (torch.cat(parts) for parts in zip(*found, strict=True))
        self.number += len(losses)
        return losses, wrong

    def _try(self, images: Tensor, labels: Tensor, lr: float) -> bool:
        """Capture, and see that it does what the steps do; leaves every state as it is."""
        per_step = self.size * self.batches_per_step
        before = self._state()
        try:
            pieces = [
                (images[at:][:per_step], labels[at:][:per_step]) for at in self._tried(images)
            ]
            for x, y in pieces:
                self.run(x, y, lr, self.unobserved)
            wanted = self._state()
            self._set_state(before)
            self._replays[1] = _Replay(self, *pieces[0])
            many = STEPS_PER_REPLAY * per_step
            if len(images) >= many:
                self._replays[STEPS_PER_REPLAY] = _Replay(self, images[:many], labels[:many])
            self._set_state(before)
            for x, y in pieces:
                self._replays[1](x, y, lr)
            why = None if _agree(self._state(), wanted, before) else "they do not agree with others"
        except Exception as error:  # whatever a layer, or CUDA, makes of being captured
            why = describe_error(error)
        self._set_state(before)
        for parameter in self.model.parameters():
            parameter.grad = None
        if why is not None:
            self._replays.clear()
            self.remarks.append(f"steps are not replayed from a CUDA graph: {why}")
        return why is None

    def _tried(self, images: Tensor) -> list[int]:
        """Where the steps begin that are taken both ways; the same again where there is one."""
        per_step = self.size * self.batches_per_step
        return [per_step * (n % (len(images) // per_step)) for n in range(TRIED_STEPS)]

    def _state(self) -> list[Tensor]:
        return [tensor.detach().clone() for tensor in self._tensors()]

    @torch.no_grad()
    def _set_state(self, state: Sequence[Tensor]) -> None:
        for tensor, value in zip(self._tensors(), state, strict=True):
            tensor.copy_(value)

    def _tensors(self) -> list[Tensor]:
        velocities = self.optimizer.velocities.values()
        return [*self.model.parameters(), *self.model.buffers(), *velocities]


def _agree(found: Sequence[Tensor], wanted: Sequence[Tensor], before: Sequence[Tensor]) -> bool:
    """Whether states are the same but for rounding, measured by what was changed."""
    for value, expected, old in zip(found, wanted, before, strict=True):
        if not value.is_floating_point():
            if not torch.equal(value, expected):
                return False
        elif value.numel():
            moved = (expected - old).abs().max()
            # What only rounding moves, as a bias before a norm, moves by this much at most.
            rounding = 1e-6 * expected.abs().max().clamp(min=1)
            if not (value - expected).abs().max() <= AGREEMENT * moved + rounding:
                return False
    return True
