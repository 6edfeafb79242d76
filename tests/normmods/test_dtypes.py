from __future__ import annotations

import pytest
import torch
from prepared_norms import CHANNELS, NAMES, batch, prepared, trained
from torch import nn

MODES = (True, False)
TAKEN = {
    torch.float32: (torch.float32, torch.float16, torch.bfloat16),
    torch.float64: (torch.float64,),
}
DTYPES = (torch.float16, torch.bfloat16, torch.float32, torch.float64)


def takes(layer: nn.Module, x: torch.Tensor) -> bool:
    try:
        layer(x)
    except (RuntimeError, ValueError):
        return False
    return True


@pytest.mark.parametrize("own", TAKEN)
@pytest.mark.parametrize("training", MODES)
def test_torchs_batch_and_group_norm_take_the_same_dtypes(own: torch.dtype, training: bool) -> None:
    for layer in (nn.BatchNorm2d(CHANNELS), nn.GroupNorm(2, CHANNELS)):
        layer.to(own).train(training)
        taken = tuple(dtype for dtype in DTYPES if takes(layer, batch(dtype=dtype)))
        assert set(taken) == set(TAKEN[own])


@pytest.mark.parametrize("own", TAKEN)
@pytest.mark.parametrize("training", MODES)
@pytest.mark.parametrize("name", NAMES)
def test_a_layer_takes_its_own_dtype_and_in_float32_the_reduced_ones(
    name: str, training: bool, own: torch.dtype
) -> None:
    layer = trained(prepared(name).to(own)).train(training)
    for dtype in DTYPES:
        x = batch(dtype=dtype)
        if dtype in TAKEN[own]:
            assert layer(x).dtype == dtype
            continue
        before = {key: value.clone() for key, value in layer.state_dict().items()}
        with pytest.raises(ValueError, match=f"a layer in {own}, but got x.dtype={dtype}: convert"):
            layer(x)
        assert all(torch.equal(value, before[key]) for key, value in layer.state_dict().items())


@pytest.mark.parametrize("training", MODES)
@pytest.mark.parametrize("name", NAMES)
def test_a_layer_made_float64_computes_in_float64(name: str, training: bool) -> None:
    single, double = prepared(name), prepared(name).double()
    for step in range(3):
        single(batch(step)).sum().backward()
        double(batch(step, dtype=torch.float64)).sum().backward()
    single.train(training), double.train(training)
    y = double(batch(5, dtype=torch.float64))
    assert y.dtype == torch.float64
    assert all(value.dtype != torch.float32 for value in double.state_dict().values())
    torch.testing.assert_close(single(batch(5)).double(), y, rtol=1e-4, atol=1e-4)
    assert not torch.equal(y.float().double(), y), "computed in float32"


def test_a_layer_without_weight_and_bias_is_held_to_it_too() -> None:
    layer = prepared("assocnorm", bias="none")
    with pytest.raises(ValueError, match=r"dtype=torch\.float64"):
        layer(batch(dtype=torch.float64))
