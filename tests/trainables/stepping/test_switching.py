"""Compiled steps held against the same steps eager; of a tiny network, as compiling takes long."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from same_bits import assert_same_bits, finish
from torch import Tensor, nn
from trial_specs import shrink_trial, with_train

from trainables import Trial
from trainables.fused.lockstep import LockstepTraining
from trainables.fused.trials import FusedTrials
from trainables.spec import ModelSpec, TrialSpec
from trainables.stepping import compile_cache
from trainables.stepping.policy import AutoPolicy, CompileStatistics
from trainables.stepping.switching import REUSE_S, SwitchingSteps

NET = ModelSpec(name="probe_models:net")
NUM_STEPS = 24


@pytest.fixture(autouse=True, scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    with pytest.MonkeyPatch.context() as patch:
        folder = tmp_path_factory.mktemp("cache")
        patch.setenv(compile_cache.CACHE_VARIABLE, str(folder))
        yield folder


def spec_of(norm: str = "batchnorm", seed: int = 0, model: ModelSpec = NET) -> TrialSpec:
    return shrink_trial(norm=norm, seed=seed, model=model)


def num_compilations() -> int:
    from torch._dynamo.utils import counters

    return int(counters["stats"]["unique_graphs"])


def test_the_first_seed_of_a_cell_is_compiled_and_the_next_is_not() -> None:
    Trial(spec_of(), compilation=True).advance()
    before = num_compilations()
    second = Trial(spec_of(seed=1), compilation=True)
    finish(second)
    assert num_compilations() == before
    assert second.steps.compiled == [[0, None]]
    assert second.steps.warnings == []


@pytest.mark.parametrize("changes", [{}, {"optimizer_batch_size": 16}, {"channels_last": True}])
def test_compiled_steps_are_eager_ones_within_rounding(changes: dict[str, Any]) -> None:
    """Over 24 steps the weights differ by less than 1e-4, which is 1,000 roundings of float32."""
    spec = with_train(spec_of(), **changes)
    eager, compiled = Trial(spec), Trial(spec, compilation=True)
    epochs = [finish(trial) for trial in (eager, compiled)]
    for (name, expected), found in zip(epochs[0][1].items(), epochs[1][1].values(), strict=True):
        torch.testing.assert_close(found, expected, atol=1e-4, rtol=1e-4, msg=name)
    assert [e.train_loss for e in epochs[0][0]] == pytest.approx(
        [e.train_loss for e in epochs[1][0]], rel=1e-4
    )


def test_a_trial_goes_on_across_its_switches_to_the_same_bits() -> None:
    """Compiled from step 7, and eager again from 17: each checkpoint knows where it stands."""
    switches = [[7, 17]]
    expected = finish(Trial(spec_of(), compilation=switches))
    trial = Trial(spec_of(), compilation=switches)
    places = set()
    while not trial.finished:
        trial.chunk_sizer.num_steps = 5
        trial.advance()
        state, trial = trial.state(), Trial(spec_of(), compilation=switches)
        trial.load_state(state)
        places.add((trial.steps.number, str(trial.steps.compiled)))
    assert_same_bits(trial.model.state_dict(), expected[1])
    assert trial.steps.compiled == switches
    assert {(5, "[]"), (10, "[[7, None]]"), (22, "[[7, 17]]")} <= places
    assert Trial(spec_of()).steps.compiled == []


@pytest.mark.parametrize("compilation", [True, "auto"])
def test_what_ran_compiled_at_last_goes_on_compiled(compilation: bool | str) -> None:
    trial = Trial(spec_of(), compilation=[[3, None]])
    trial.advance()
    resumed = Trial(spec_of(), compilation=compilation)  # type: ignore[arg-type]
    resumed.load_state(trial.state())
    assert_same_bits(finish(resumed)[1], finish(trial)[1])
    assert resumed.steps.compiled == [[3, None]]


def test_without_a_compiler_a_trial_stays_eager_and_says_so(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("CXX", "no-such-compiler")
    trial = Trial(spec_of(), compilation=True)
    assert_same_bits(finish(trial)[1], finish(Trial(spec_of()))[1])
    assert trial.steps.compiled == []
    (remark,) = trial.steps.warnings
    assert remark.startswith("steps are not compiled: there is no C++ compiler (no-such-compiler")


@pytest.mark.parametrize("name", ["ReadsValues", "Counts"])
def test_a_model_that_cannot_be_compiled_is_trained_eager(name: str) -> None:
    spec = spec_of(model=ModelSpec(name=f"probe_models:{name}"))
    trial = Trial(spec, compilation=True)
    assert_same_bits(finish(trial)[1], finish(Trial(spec))[1])
    assert trial.steps.compiled == []
    (remark,) = trial.steps.warnings
    assert remark.startswith("steps of batchnorm at batch size 8 are not compiled: ")
    assert "\n" not in remark


def test_what_is_watched_is_trained_eager() -> None:
    trial = Trial(with_train(spec_of(), watch="0"), compilation=True)
    finish(trial)
    assert not isinstance(trial.steps, SwitchingSteps)
    assert trial.steps.compiled == []


@pytest.mark.slow
def test_dropout_draws_what_it_draws_eager() -> None:
    spec = spec_of(model=ModelSpec(name="probe_models:with_dropout"))
    eager, compiled = (finish(Trial(spec, compilation=each)) for each in (False, True))
    for expected, found in zip(eager[1].values(), compiled[1].values(), strict=True):
        torch.testing.assert_close(found, expected, atol=1e-4, rtol=1e-4)


@pytest.mark.slow
def test_side_by_side_steps_are_compiled_too() -> None:
    seeds = [Trial(spec_of("batchnorm", seed), compilation=True) for seed in range(2)]
    fused = FusedTrials(seeds)
    while not fused.finished:
        fused.advance()
    for seed, trial in enumerate(seeds):
        assert trial.steps.compiled == [[0, None]]
        _, expected = finish(Trial(spec_of("batchnorm", seed)))
        for value, alone in zip(trial.model.state_dict().values(), expected.values(), strict=True):
            torch.testing.assert_close(value, alone, atol=1e-3, rtol=1e-3)


@pytest.mark.slow
def test_nothing_is_compiled_while_widths_are_timed() -> None:
    trials = [
        Trial(shrink_trial(epochs=400, model=NET, norm="batchnorm", seed=seed), compilation=True)
        for seed in range(2)
    ]
    lockstep = LockstepTraining(trials)
    while lockstep.width.num_steps is not None:
        assert [trial.steps.compiled for trial in trials] == [[], []]
        lockstep.advance()
    begun = trials[0].steps.number
    for _ in range(2):  # the first of which may be a test
        lockstep.advance()
    assert [trial.steps.compiled for trial in trials] == [[[begun, None]]] * 2


def test_what_the_process_has_compiled_costs_the_next_seed_nothing() -> None:
    finish(Trial(spec_of(), compilation=True))
    steps = Trial(spec_of(seed=1), compilation="auto").steps
    assert isinstance(steps, SwitchingSteps)
    assert isinstance(steps.policy, AutoPolicy)
    assert steps.policy.statistics == CompileStatistics(REUSE_S)
    steps.policy.on_measured(CompileStatistics(REUSE_S, share=0.5))
    noted = compile_cache.read_statistics(steps.cell)
    assert noted is not None
    assert noted.share == 0.5
    assert noted.compile_s > 1
    other = Trial(spec_of("groupnorm"), compilation="auto").steps
    assert isinstance(other, SwitchingSteps)
    assert isinstance(other.policy, AutoPolicy)
    assert other.policy.statistics.compile_s > 1


def test_auto_compiles_where_it_is_known_to_pay() -> None:
    trial = Trial(spec_of(), compilation="auto")
    steps = trial.steps
    assert isinstance(steps, SwitchingSteps)
    policy = AutoPolicy(10**9, CompileStatistics(compile_s=1e-6, share=0.5))
    for _ in range(9):
        policy.observe(10, 1.0, compiled=False)
    steps.policy = policy
    trial.advance()
    assert steps.compiled == [[0, None]]
    assert policy.statistics.compile_s > 1e-6


def test_what_is_not_asked_for_is_not_imported() -> None:
    code = """
import sys
import torch
from trial_specs import shrink_trial
from trainables import Trial
for compilation in (False, "auto"):
    trial = Trial(shrink_trial(epochs=1), compilation=compilation)
    trial.run_epoch()
assert "torch._dynamo" not in sys.modules
"""
    path = [str(Path(__file__).parents[1])]
    code = f"import sys; sys.path[:0] = {path}\n{code}"
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.slow
def test_nothing_is_printed_and_no_process_stays_and_the_code_is_kept(tmp_path: Path) -> None:
    code = """
import os, subprocess
import torchvision
from trial_specs import shrink_trial
from trainables import Trial
from trainables.spec import ModelSpec
spec = shrink_trial(norm="batchnorm", model=ModelSpec(name="probe_models:net"))
trial = Trial(spec, compilation=True)
trial.run_epoch()
assert trial.steps.compiled == [[0, None]], trial.steps.warnings
children = open(f"/proc/self/task/{os.getpid()}/children").read().split()
assert not children, children
"""
    path = [str(Path(__file__).parents[1])]
    code = f"import sys; sys.path[:0] = {path}\n{code}"
    env = {key: value for key, value in os.environ.items() if "INDUCTOR" not in key}
    env["NORM_SWEEP_CACHE"] = str(tmp_path)
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=env)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert any((tmp_path / "inductor").rglob("*.so"))


class Double(nn.Module):
    """A model in float64, of images in float32."""

    def __init__(self, inner: nn.Module) -> None:
        super().__init__()
        self.inner = inner.double()

    def forward(self, x: Tensor) -> Tensor:
        return self.inner(x.double())  # type: ignore[no-any-return]


@pytest.mark.slow
@pytest.mark.parametrize(
    "norm",
    [
        *("batchnorm", "groupnorm", "instancenorm", "layernorm"),
        *("batchrenorm", "renorm_debias", "assocnorm"),
    ],
)
def test_in_float64_compiled_steps_are_the_same_to_1e_9(norm: str) -> None:
    from trainables.epoch import Steps
    from trainables.optim import Sgd
    from trainables.stepping.compiled import compile_batch

    weights = []
    for is_compiled in (False, True):
        trial = Trial(shrink_trial(norm=norm, batch_size=2))
        model = Double(trial.model)
        steps = Steps(model, Sgd(model, trial.spec.train.optimizer, norms=[]), trial.spec)
        epoch = trial.current_epoch()
        images, labels = epoch.examples.chunk(0, 20)
        model.train()
        if is_compiled:
            steps.batch = compile_batch(f"float64 {norm}", model, images[:2], labels[:2])
        steps.run_steps(images, labels, 0.01, epoch.observer)
        weights.append(model.state_dict())
    for name, expected in weights[0].items():
        torch.testing.assert_close(weights[1][name], expected, atol=1e-9, rtol=1e-9, msg=name)
