from __future__ import annotations

import pytest
import torch

import normmods

NAMES = normmods.names()


def build(name: str) -> torch.nn.Module:
    return normmods.prepare(normmods.build(name, 8))


@pytest.mark.parametrize("device", ["cpu", "meta"])
@pytest.mark.parametrize("name", NAMES)
def test_input_that_is_no_map_of_its_channels_is_refused(name: str, device: str) -> None:
    layer = build(name).to(device)
    with pytest.raises(ValueError, match=r"x\.shape=\(4, 8, 3\)"):
        layer(torch.zeros(4, 8, 3, device=device))
    with pytest.raises(ValueError, match=r"x\.shape=\(4, 7, 3, 3\) and num_channels=8"):
        layer(torch.zeros(4, 7, 3, 3, device=device))
    with pytest.raises(ValueError, match=r"x\.dtype=torch\.int64"):
        layer(torch.zeros(4, 8, 3, 3, dtype=torch.int64, device=device))


@pytest.mark.parametrize("name", NAMES)
def test_values_out_of_range_are_refused(name: str) -> None:
    with pytest.raises(ValueError, match="num_channels=0"):
        normmods.build(name, 0)
    if "eps" in normmods.options(name):
        with pytest.raises(ValueError, match="eps=-1"):
            normmods.build(name, 8, eps=-1)


@pytest.mark.parametrize("name", NAMES)
def test_state_stays_float32_under_reduced_precision(name: str) -> None:
    layer = build(name)
    before = {key: value.clone() for key, value in layer.state_dict().items()}
    y = layer.bfloat16().half()(torch.randn(4, 8, 3, 3).bfloat16())
    assert y.dtype == torch.bfloat16
    assert {p.dtype for p in layer.parameters()} <= {torch.float32}
    layer = build(name)
    layer.load_state_dict(before)
    layer = layer.bfloat16()
    assert all(torch.equal(value, before[key]) for key, value in layer.state_dict().items())


@pytest.mark.parametrize("name", NAMES)
def test_evaluation_leaves_the_state_alone_and_training_state_survives(name: str) -> None:
    torch.manual_seed(0)
    layer = build(name)
    for _ in range(3):
        layer(torch.randn(4, 8, 3, 3))
    state = {key: value.clone() for key, value in layer.state_dict().items()}
    twin = build(name)
    twin.load_state_dict(state)
    x = torch.randn(4, 8, 3, 3)
    assert torch.equal(layer.eval()(x), twin.eval()(x))
    assert all(torch.equal(value, state[key]) for key, value in layer.state_dict().items())
    assert torch.equal(layer.train()(x), twin.train()(x))


@pytest.mark.parametrize("name", NAMES)
def test_runs_on_the_meta_device(name: str) -> None:
    with torch.device("meta"):
        layer = build(name)
        y = layer(torch.zeros(4, 8, 3, 3))
        assert layer.eval()(torch.zeros(4, 8, 3, 3)).shape == y.shape == (4, 8, 3, 3)
