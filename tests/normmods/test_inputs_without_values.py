from __future__ import annotations

import copy

import pytest
import torch
from prepared_norms import CHANNELS, NAMES, STATEFUL, batch, prepared, state, trained
from torch import nn

COUNTED = ("batchnorm", "ghostbatchnorm", "batchchannelnorm", "evonorm_b0", "switchablenorm")


def empty(*shape: int) -> torch.Tensor:
    return torch.zeros(shape, requires_grad=True)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("shape", [(0, 8, 3, 3), (0, 8, 1, 1), (4, 8, 0, 3)])
@pytest.mark.parametrize("name", NAMES)
def test_it_passes_and_gives_gradients_of_zeros(
    name: str, shape: tuple[int, ...], training: bool, dtype: torch.dtype
) -> None:
    layer = trained(prepared(name)).train(training)
    x = torch.zeros(shape, dtype=dtype, requires_grad=True)
    y = layer(x)
    assert y.shape == shape
    assert y.dtype == dtype
    y.sum().backward()
    assert x.grad is not None
    assert x.grad.shape == shape
    for parameter in layer.parameters():
        assert torch.equal(parameter.grad, torch.zeros_like(parameter))


@pytest.mark.parametrize("name", NAMES)
def test_it_leaves_the_statistics_alone(name: str) -> None:
    layer = trained(prepared(name))
    before = state(layer)
    layer(empty(0, CHANNELS, 3, 3)).sum().backward()
    after = state(layer)
    counts = int(before.pop("num_batches_tracked", 0)), int(after.pop("num_batches_tracked", 0))
    assert all(torch.equal(after[key], value) for key, value in before.items())
    assert counts[1] - counts[0] == (name in COUNTED)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("at", [0, 2])
def test_training_goes_on_as_if_it_had_not_been(name: str, at: int) -> None:
    layer, twin = prepared(name), prepared(name)
    for step in range(4):
        if step == at:
            layer(empty(0, CHANNELS, 3, 3)).sum().backward()
        for each in (layer, twin):
            each(batch(step)).square().sum().backward()
    assert torch.equal(layer.eval()(batch(9)), twin.eval()(batch(9)))
    for mine, other in zip(layer.parameters(), twin.parameters(), strict=True):
        assert torch.equal(mine.grad, other.grad)


@pytest.mark.parametrize("momentum", [0.1, None])
def test_batch_norm_counts_it_as_torchs_does(momentum: float | None) -> None:
    layer = prepared("batchnorm", momentum=momentum)
    twin = nn.BatchNorm2d(CHANNELS, momentum=momentum)
    for x in (batch(0), torch.zeros(0, CHANNELS, 3, 3), batch(1)):
        layer(x), twin(x)
    for name, buffer in twin.named_buffers():
        torch.testing.assert_close(layer.get_buffer(name), buffer)


@pytest.mark.parametrize("name", NAMES)
def test_a_wrong_number_of_channels_is_still_refused(name: str) -> None:
    with pytest.raises(ValueError, match="num_channels=8"):
        prepared(name)(empty(0, 7, 3, 3))


@pytest.mark.parametrize("name", STATEFUL)
def test_a_nan_reaches_the_statistics_of_its_channel_as_in_torchs_batch_norm(name: str) -> None:
    x = batch()
    x[1, 2, 0, 0] = torch.nan
    torchs = nn.BatchNorm2d(CHANNELS)
    torchs(x)
    reached = torchs.running_mean.isnan()
    assert reached.tolist() == [channel == 2 for channel in range(CHANNELS)]
    layer = trained(prepared(name))
    clean = copy.deepcopy(layer)
    layer(x)
    clean(batch())
    for key, buffer in layer.named_buffers():
        if key.startswith("running_"):
            assert torch.equal(buffer.isnan(), reached), key
            assert torch.equal(buffer[~reached], clean.get_buffer(key)[~reached])
    layer(batch())
    running = [value for key, value in layer.named_buffers() if key.startswith("running_")]
    assert all(torch.equal(value.isnan(), reached) for value in running), "it stays, as in torch"


@pytest.mark.parametrize("name", [name for name in NAMES if name not in STATEFUL])
def test_a_nan_stays_in_its_example(name: str) -> None:
    x = batch()
    x[1, 2, 0, 0] = torch.nan
    y = prepared(name)(x)
    assert y[1].isnan().any()
    assert y[[0, 2, 3]].isfinite().all()
