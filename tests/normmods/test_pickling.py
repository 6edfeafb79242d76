"""Whole models by pickle, deepcopy and torch.save; states by state_dict."""

from __future__ import annotations

import copy
import io
import pickle
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from prepared_norms import NAMES, convolutional
from torch import nn
from torch.nn.utils import parametrize

import normmods

FORMS = ("groupnorm_ws", "mabn")


def saved(model: nn.Module) -> nn.Module:
    file = io.BytesIO()
    torch.save(model, file)
    file.seek(0)
    loaded: nn.Module = torch.load(file, weights_only=False)
    return loaded


WAYS: dict[str, Callable[[nn.Module], nn.Module]] = {
    "pickle": lambda model: pickle.loads(pickle.dumps(model)),
    "deepcopy": copy.deepcopy,
    "torch.save": saved,
    "pickle of a copy of a pickle": lambda model: pickle.loads(
        pickle.dumps(copy.deepcopy(pickle.loads(pickle.dumps(model))))
    ),
}


def step(model: nn.Module, seed: int) -> torch.Tensor:
    torch.manual_seed(seed)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    y: torch.Tensor = model(torch.randn(4, 3, 6, 6))
    y.square().mean().backward()
    optimizer.step()
    optimizer.zero_grad()
    return y.detach()


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("name", NAMES)
def test_a_copy_trains_on_to_the_same_bits_and_apart(name: str, way: str) -> None:
    model = convolutional(name)
    step(model, 0)
    twin = WAYS[way](model)
    assert twin.state_dict().keys() == model.state_dict().keys()
    assert not {id(p) for p in twin.parameters()} & {id(p) for p in model.parameters()}
    for seed in (1, 2):
        assert torch.equal(step(twin, seed), step(model, seed))
    step(model, 3)
    assert not torch.equal(
        twin.eval()(torch.ones(2, 3, 6, 6)), model.eval()(torch.ones(2, 3, 6, 6))
    )


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("name", FORMS)
def test_a_copy_keeps_the_form_of_its_weights(name: str, way: str) -> None:
    twin = WAYS[way](convolutional(name))
    with torch.no_grad():
        twin[0].parametrizations.weight.original.add_(3)
    assert isinstance(twin[0], nn.Conv2d)
    assert type(twin[0]) is not nn.Conv2d
    assert float(twin[0].weight.detach().mean((1, 2, 3)).abs().max()) < 1e-5
    parametrize.remove_parametrizations(twin[0], "weight")
    assert type(twin[0]) is nn.Conv2d
    assert parametrize.is_parametrized(twin[3]), "each convolution has a class of its own"


def test_models_of_another_process_are_loaded(tmp_path: Path) -> None:
    x = torch.ones(2, 3, 6, 6)
    models = [convolutional(name).eval() for name in FORMS]
    torch.save({"x": x, "pairs": [(model, model(x)) for model in models]}, tmp_path / "models.pt")
    program = (
        "import sys, torch; found = torch.load(sys.argv[1], weights_only=False);"
        "assert all(torch.equal(model(found['x']), y) for model, y in found['pairs'])"
    )
    subprocess.run([sys.executable, "-c", program, str(tmp_path / "models.pt")], check=True)


def test_shared_parameters_stay_shared() -> None:
    model = convolutional("groupnorm_ws")
    weight = model[0].parametrizations.weight.original
    twin, twins_weight = pickle.loads(pickle.dumps((model, weight)))
    assert twin[0].parametrizations.weight.original is twins_weight


def test_further_parametrizations_are_kept() -> None:
    model = convolutional("mabn")
    nn.utils.parametrizations.spectral_norm(model[0])
    twin = pickle.loads(pickle.dumps(model))
    assert torch.equal(twin.eval()(torch.ones(2, 3, 6, 6)), model.eval()(torch.ones(2, 3, 6, 6)))
    assert len(twin[0].parametrizations.weight) == 2


@pytest.mark.parametrize("name", FORMS)
def test_a_state_restores_a_prepared_model(name: str) -> None:
    model, other = convolutional(name), convolutional(name)
    step(model, 0)
    other.load_state_dict(torch_round_trip(model.state_dict()))
    assert torch.equal(step(other, 1), step(model, 1))
    unprepared = nn.Sequential(nn.Conv2d(3, 8, 3, bias=False), normmods.build(name, 8))
    with pytest.raises(RuntimeError, match="Missing key"):
        unprepared.load_state_dict(normmods.prepare(copy.deepcopy(unprepared)).state_dict())


def torch_round_trip(state: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    file = io.BytesIO()
    torch.save(state, file)
    file.seek(0)
    loaded: dict[str, torch.Tensor] = torch.load(file, weights_only=True)
    return loaded
