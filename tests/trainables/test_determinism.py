"""`deterministic: true`: what it switches, that it is switched back, and that bits hold."""

from __future__ import annotations

import dataclasses
import os

import pytest
import torch
from probe_norms import Settings
from same_bits import assert_same_bits, finish, without_times
from test_resuming import NORMS, resumable_spec
from trial_specs import shrink_trial, with_train

from trainables import Diverged, NotDeterministic, Trial
from trainables.determinism import CUBLAS_VARIABLE, configure_cublas, deterministic_algorithms
from trainables.fused.trials import FusedTrials
from trainables.spec import TrialSpec

Seen = tuple[int, bool, bool]
ON, OFF = (2, True, False), (0, False, False)


def settings() -> Seen:
    cudnn = torch.backends.cudnn
    return torch.get_deterministic_debug_mode(), cudnn.deterministic, cudnn.benchmark


@pytest.mark.parametrize("before", [OFF, (1, False, True), ON])
def test_the_switch_leaves_what_it_found(before: Seen) -> None:
    with deterministic_algorithms(True):  # so that the test itself leaves what it found
        torch.set_deterministic_debug_mode(before[0])
        torch.backends.cudnn.deterministic, torch.backends.cudnn.benchmark = before[1:]
        with deterministic_algorithms(True):
            assert settings() == ON
            assert torch.are_deterministic_algorithms_enabled()
        assert settings() == before
        with pytest.raises(KeyError), deterministic_algorithms(True):
            raise KeyError
        assert settings() == before
        with deterministic_algorithms(False):
            assert settings() == before
    assert settings() == OFF


@pytest.mark.parametrize("fused", [False, True])
def test_a_trial_that_asks_for_it_has_it_and_the_next_one_has_not(fused: bool) -> None:
    for wanted, expected in ((True, ON), (False, OFF)):
        Settings.seen.clear()
        spec = with_train(shrink_trial("probe_norms:Settings", epochs=1), deterministic=wanted)
        trial = Trial(spec)
        together = FusedTrials([trial, Trial(with_seed(spec, 1))]) if fused else trial
        while not together.finished:
            together.advance()
            assert settings() == OFF
        assert Settings.seen == {expected}


def with_seed(spec: TrialSpec, seed: int) -> TrialSpec:
    return dataclasses.replace(spec, seed=seed)


def test_a_trial_that_diverges_leaves_what_it_found() -> None:
    trial = Trial(with_train(shrink_trial(lr=1e30), deterministic=True))
    with pytest.raises(Diverged):
        finish(trial)
    assert settings() == OFF


def test_a_layer_that_cannot_is_one_clear_line() -> None:
    spec = shrink_trial("probe_norms:Puts", epochs=1)
    finish(Trial(spec))
    with pytest.raises(NotDeterministic, match=r"cannot be kept: put_, which a layer") as caught:
        finish(Trial(with_train(spec, deterministic=True)))
    assert "\n" not in str(caught.value)
    assert settings() == OFF


def test_another_error_of_a_layer_stays_what_it_is() -> None:
    error = RuntimeError("a bug")
    with pytest.raises(RuntimeError, match=r"^a bug$") as caught, deterministic_algorithms(True):
        raise error
    assert caught.value is error
    assert error.__cause__ is None


def test_a_workspace_that_varies_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(CUBLAS_VARIABLE, ":4096:2:16:8")
    said = "this operation is not deterministic because it uses CuBLAS and you have CUDA >= 10.2"
    match = r"CUBLAS_WORKSPACE_CONFIG=':4096:2:16:8': set it to ':4096:8'"
    with pytest.raises(NotDeterministic, match=match), deterministic_algorithms(True):
        raise RuntimeError(said)


def test_the_workspace_is_chosen_for_a_gpu_alone_and_an_own_choice_stays(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv(CUBLAS_VARIABLE, raising=False)
    configure_cublas(torch.device("cpu"))
    assert CUBLAS_VARIABLE not in os.environ
    monkeypatch.setenv(CUBLAS_VARIABLE, ":16:8")
    configure_cublas(torch.device("cuda"))
    assert os.environ[CUBLAS_VARIABLE] == ":16:8"
    monkeypatch.delenv(CUBLAS_VARIABLE)
    configure_cublas(torch.device("cuda"))
    assert os.environ[CUBLAS_VARIABLE] == ":4096:8"


@pytest.mark.parametrize("norm", NORMS)
def test_on_a_cpu_it_changes_no_bit(norm: str) -> None:
    spec = resumable_spec(norm)
    metrics, weights = finish(Trial(spec, device="cpu"))
    again = finish(Trial(with_train(spec, deterministic=True), device="cpu"))
    assert again[0] == metrics
    assert_same_bits(again[1], weights)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU is here")
@pytest.mark.parametrize("norm", NORMS)
def test_on_a_gpu_a_trial_cut_off_anywhere_ends_with_the_same_bits(norm: str) -> None:
    spec = with_train(resumable_spec(norm), deterministic=True)
    metrics, weights = finish(Trial(spec, device="cuda"))
    finish(Trial(shrink_trial(batch_size=64, seed=5), device="cuda"))
    trial, found = Trial(spec, device="cuda"), []
    while not trial.finished:
        trial.chunk_sizer.num_steps = 2
        if (epoch := trial.advance()) is not None:
            found.append(without_times(epoch))
        state = trial.state()
        trial = Trial(spec, device="cuda")
        trial.load_state(state)
    assert found == metrics
    assert_same_bits(trial.model.state_dict(), weights)
