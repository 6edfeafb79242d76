"""All of it but the graph itself: without a GPU the work is repeated by running it again."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from same_bits import assert_same_bits
from torch import Tensor, nn
from trial_specs import shrink_trial, with_train

import normmods
from trainables import Trial, TrialSpec
from trainables.epoch import Steps
from trainables.fused.trials import FusedTrials
from trainables.optim import Sgd
from trainables.spec import ModelSpec, ScheduleSpec
from trainables.stepping.graphed import WARM_UP_RUNS, GraphedSteps, Work, reason_not_graphable

NORMS = [name for name in normmods.names() if name != "none"]
ON_GPU = pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU is here")


def repeated(work: Work) -> Work:
    """As a capture on a GPU: the work has run a few times before, and then is repeated."""
    for _ in range(WARM_UP_RUNS):
        work()
    return work


def spec(norm: str = "batchnorm", *, batch_size: int = 8, **train: Any) -> TrialSpec:
    schedule = ScheduleSpec(name="multistep", milestones=(1,), gamma=0.5)
    small = shrink_trial(norm, batch_size=batch_size, schedule=schedule, lr=2**-5)
    return with_train(small, **train)


def graph(trial: Trial, capture: Callable[[Work], Work] = repeated) -> GraphedSteps:
    steps = GraphedSteps(trial.model, trial.optimizer, trial.spec, capture)
    trial.steps = steps
    return steps


def finished(trial: Trial, stretch: int = 100) -> dict[str, Tensor]:
    """The end of a trial whose stretches have so many steps."""
    while not trial.finished:
        trial.chunk_sizer.num_steps = stretch
        trial.advance()
    return trial.model.state_dict()


@pytest.mark.parametrize("norm", NORMS)
def test_replayed_steps_are_the_steps_to_the_bit(norm: str) -> None:
    plain, replayed = Trial(spec(norm), device="cpu"), Trial(spec(norm), device="cpu")
    steps = graph(replayed)
    assert_same_bits(finished(replayed), finished(plain))
    assert steps.is_graphed, steps.warnings
    assert steps.number == plain.steps.number == 24


@pytest.mark.parametrize("changes", [{"optimizer_batch_size": 16}, {"channels_last": True}])
def test_accumulated_steps_and_other_layouts_too(changes: dict[str, Any]) -> None:
    one = spec(batch_size=4, **changes)
    plain, replayed = Trial(one, device="cpu"), Trial(one, device="cpu")
    steps = graph(replayed)
    metrics = [trial.run_epoch().train_loss for trial in (replayed, plain)]
    assert metrics[0] == metrics[1]
    assert_same_bits(replayed.model.state_dict(), plain.model.state_dict())
    assert steps.is_graphed


@pytest.mark.parametrize("stretch", [1, 5, 9])
def test_where_stretches_end_decides_nothing(stretch: int) -> None:
    plain, replayed = Trial(spec(), device="cpu"), Trial(spec(), device="cpu")
    assert graph(replayed).is_graphed is None
    assert_same_bits(finished(replayed, stretch), finished(plain))


def test_a_replayed_trial_goes_on_from_its_checkpoint() -> None:
    whole, begun, resumed = (Trial(spec("renorm_debias"), device="cpu") for _ in range(3))
    graph(begun)
    begun.chunk_sizer.num_steps = 5
    begun.advance()
    steps = graph(resumed)
    resumed.load_state(begun.state())
    assert_same_bits(finished(resumed), finished(whole))
    assert steps.is_graphed


def test_seeds_side_by_side_are_replayed_too() -> None:
    crews = []
    for is_graphed in (False, True):
        trials = [Trial(spec("assocnorm", epochs=1), device="cpu") for _ in range(2)]
        crew = FusedTrials(trials)
        if is_graphed:
            first = trials[0].spec
            crew.steps = GraphedSteps(crew.network.model, crew.optimizer, first, repeated)
        crew.chunk_sizer.num_steps = 9
        crew.advance()
        crews.append((crew, trials))
    assert crews[1][0].steps.is_graphed  # type: ignore[attr-defined]
    for plain, replayed in zip(crews[0][1], crews[1][1], strict=True):
        assert_same_bits(replayed.model.state_dict(), plain.model.state_dict())


def fails(work: Work) -> Work:
    work()
    raise RuntimeError("operation not permitted when stream is capturing")


def does_nothing(work: Work) -> Work:
    work()
    return lambda: None


@pytest.mark.parametrize(
    ("capture", "why"), [(fails, "operation not permitted"), (does_nothing, "do not agree")]
)
def test_what_cannot_be_replayed_is_as_it_was_and_eager(
    capture: Callable[[Work], Work], why: str
) -> None:
    plain, other = (
        Trial(spec("batchrenorm"), device="cpu"),
        Trial(spec("batchrenorm"), device="cpu"),
    )
    steps = graph(other, capture)
    assert_same_bits(finished(other), finished(plain))
    assert steps.is_graphed is False
    (line,) = steps.warnings
    assert line.startswith("steps are not replayed from a CUDA graph: ")
    assert why in line


class Counting(nn.Module):
    """A network whose steps Python changes: a graph would repeat the first one."""

    def __init__(self, inner: nn.Module) -> None:
        super().__init__()
        self.inner, self.count = inner, 0

    def forward(self, x: Tensor) -> Tensor:
        self.count += 1
        return self.inner(x) * self.count  # type: ignore[no-any-return]


def test_a_model_that_counts_in_python_is_found_out() -> None:
    trial = Trial(spec(), device="cpu")
    model = Counting(trial.model)

    def frozen(work: Work) -> Work:
        count = model.count

        def again() -> None:
            model.count = count
            work()

        return again

    optimizer = Sgd(model, trial.spec.train.optimizer, norms=[])
    steps = GraphedSteps(model, optimizer, trial.spec, frozen)
    epoch = trial.current_epoch()
    steps.run_steps(*epoch.examples.chunk(0, 4), 0.1, epoch.observer)
    assert steps.is_graphed is False


def test_dropout_and_what_is_read_at_every_step_stay_out() -> None:
    trial = Trial(spec(), device="cpu")
    assert reason_not_graphable(trial.spec, trial.model) is None
    watching = spec(extra_metrics=("gradient_norm",))
    assert "read the model" in str(reason_not_graphable(watching, trial.model))
    dropping = Trial(shrink_trial(model=ModelSpec(name="probe_models:with_dropout")), device="cpu")
    assert "dropout" in str(reason_not_graphable(dropping.spec, dropping.model))


def test_without_a_gpu_steps_are_eager() -> None:
    assert type(Trial(spec(), device="cpu", cuda_graphs=True).steps) is Steps


@ON_GPU
@pytest.mark.parametrize("norm", NORMS)
def test_on_a_gpu_they_are_captured_and_agree(norm: str) -> None:
    plain = Trial(spec(norm), device="cuda")
    replayed = Trial(spec(norm), device="cuda", cuda_graphs=True)
    losses = [trial.run_epoch().train_loss for trial in (plain, replayed)]
    assert isinstance(replayed.steps, GraphedSteps)
    assert replayed.steps.is_graphed, replayed.steps.warnings
    assert losses[1] == pytest.approx(losses[0], rel=1e-2)
