"""Torch's own tools for batch norms: its states, SyncBatchNorm and update_bn."""

from __future__ import annotations

import copy

import numpy as np
import pytest
import torch
from prepared_norms import CHANNELS, NAMES, STATEFUL, batch, convolutional, prepared, trained
from torch import Tensor, nn
from torch.func import replace_all_batch_norm_modules_
from torch.optim.swa_utils import AveragedModel, update_bn

import normmods

TAKES_TORCHS_STATE = ("batchnorm", "ghostbatchnorm", "batchrenorm", "renorm_debias")


def torchs(eps: float = 1e-5) -> nn.BatchNorm2d:
    layer = nn.BatchNorm2d(CHANNELS, eps=eps)
    torch.manual_seed(5)
    nn.init.normal_(layer.weight)
    nn.init.normal_(layer.bias)
    return trained(layer, 4)


@pytest.mark.parametrize("eps", [1e-5, 0.1])
@pytest.mark.parametrize("name", TAKES_TORCHS_STATE)
def test_a_layer_loaded_from_torchs_evaluates_as_it_does(name: str, eps: float) -> None:
    theirs = torchs(eps).eval()
    ours = normmods.build(name, CHANNELS, eps=eps, eval_statistics="ema")
    given = theirs.state_dict()
    keys = list(given)
    assert str(ours.load_state_dict(given)) == "<All keys matched successfully>"
    assert list(given) == keys
    torch.testing.assert_close(ours.eval()(batch(7)), theirs(batch(7)), rtol=1e-5, atol=1e-5)
    assert int(ours.num_batches_tracked) == 4


@pytest.mark.parametrize("assign", [False, True])
def test_a_whole_model_is_loaded_and_trains_on_alike(assign: bool) -> None:
    theirs = nn.Sequential(nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8))
    ours = nn.Sequential(nn.Conv2d(3, 8, 3), normmods.build("batchnorm", 8))
    x = torch.randn(4, 3, 6, 6)
    theirs(x)
    ours.load_state_dict(copy.deepcopy(theirs.state_dict()), assign=assign)
    torch.testing.assert_close(ours(x), theirs(x))
    for key, value in theirs.state_dict().items():
        torch.testing.assert_close(ours.state_dict()[key], value)


def test_precise_statistics_of_other_weights_do_not_stay() -> None:
    layer = normmods.build("batchnorm", CHANNELS, eval_statistics="precise")
    normmods.recompute_precise(layer, [batch()])
    layer.load_state_dict(torchs().state_dict())
    with pytest.raises(ValueError, match="recompute_precise"):
        layer.eval()(batch())


def test_a_state_of_before_torch_counted_batches_is_taken() -> None:
    old = torchs().state_dict()
    del old["num_batches_tracked"]
    old._metadata = {"": {"version": 1}}
    layer = normmods.build("batchrenorm", CHANNELS)
    layer.load_state_dict(old)
    assert int(layer.num_batches_tracked) == 0


@pytest.mark.parametrize("name", ["batchnorm", "batchrenorm"])
def test_a_state_without_running_statistics_is_refused_by_their_names(name: str) -> None:
    state = nn.BatchNorm2d(CHANNELS, track_running_stats=False).state_dict()
    with pytest.raises(RuntimeError, match=r"Missing key.*running_mean"):
        normmods.build(name, CHANNELS).load_state_dict(state)


def test_sync_batch_norm_replaces_batchnorm_and_computes_the_same() -> None:
    model = convolutional("batchnorm")
    x = torch.randn(4, 3, 6, 6)
    model(x)
    twin = nn.SyncBatchNorm.convert_sync_batchnorm(copy.deepcopy(model))
    assert [type(twin[at]) for at in (1, 4)] == [nn.SyncBatchNorm] * 2
    torch.testing.assert_close(twin(x), model(x))
    for key, value in twin.state_dict().items():
        torch.testing.assert_close(model.state_dict()[key], value)
    torch.testing.assert_close(twin.eval()(x), model.eval()(x))


@pytest.mark.parametrize("name", [name for name in STATEFUL if name != "batchnorm"])
def test_sync_batch_norm_refuses_what_it_would_compute_otherwise(name: str) -> None:
    with pytest.raises(TypeError, match=f"got a {type(prepared(name)).__name__}"):
        nn.SyncBatchNorm.convert_sync_batchnorm(convolutional(name))


@pytest.mark.parametrize("choice", ["batch", "precise"])
def test_sync_batch_norm_refuses_other_test_statistics(choice: str) -> None:
    with pytest.raises(TypeError, match=f"eval_statistics='{choice}'"):
        nn.SyncBatchNorm.convert_sync_batchnorm(convolutional("batchnorm", eval_statistics=choice))


@pytest.mark.parametrize("name", [name for name in NAMES if name not in STATEFUL])
def test_sync_batch_norm_and_update_bn_leave_layers_without_statistics(name: str) -> None:
    model = convolutional(name)
    before = copy.deepcopy(model.state_dict())
    assert nn.SyncBatchNorm.convert_sync_batchnorm(model) is model
    update_bn([torch.randn(4, 3, 6, 6)], model)
    assert all(torch.equal(value, before[key]) for key, value in model.state_dict().items())


def test_update_bn_leaves_batchnorm_with_what_torchs_layer_has() -> None:
    ours, theirs = normmods.build("batchnorm", CHANNELS), nn.BatchNorm2d(CHANNELS)
    for layer in (ours, theirs):
        update_bn([batch(step, size) for step, size in ((3, 4), (4, 7), (5, 2))], trained(layer))
        assert layer.momentum == 0.1
    for name, buffer in theirs.named_buffers():
        torch.testing.assert_close(ours.get_buffer(name), buffer)


def averages(inputs: list[Tensor], name: str) -> dict[str, np.ndarray]:
    """What equal weights give, in float64: means of the batches' own statistics."""
    x = [each.double().numpy().swapaxes(0, 1).reshape(CHANNELS, -1) for each in inputs]
    biased = 0 if name != "ghostbatchnorm" else 1
    found = {
        "running_mean": np.mean([each.mean(1) for each in x], 0),
        "running_var": np.mean([each.var(1, ddof=biased) for each in x], 0),
        "running_std": np.mean([np.sqrt(each.var(1) + 1e-5) for each in x], 0),
    }
    if name == "mabn":
        found["running_var"] = np.mean([(each**2).mean(1) for each in x], 0)
    return found


@pytest.mark.parametrize("name", [name for name in STATEFUL if name != "batchnorm"])
def test_update_bn_averages_the_statistics_of_every_layer(name: str) -> None:
    layer = trained(prepared(name))
    inputs = [batch(step) for step in (3, 4, 5, 6)]
    update_bn(inputs, layer)
    expected = averages(inputs, name)
    running = [key for key, _ in layer.named_buffers() if key.startswith("running_")]
    assert running
    for key in running:
        if (name, key) == ("batchchannelnorm", "running_var"):
            continue  # depends on the running mean
        found = layer.get_buffer(key).double().numpy()
        np.testing.assert_allclose(found, expected[key], rtol=1e-4, atol=1e-5)
    assert int(layer.num_batches_tracked) == 4
    assert layer.momentum is not None


@pytest.mark.parametrize("name", STATEFUL)
def test_reset_running_stats_gives_what_a_new_layer_has(name: str) -> None:
    layer, new = trained(prepared(name)), prepared(name)
    layer.reset_running_stats()
    for key, buffer in new.named_buffers():
        assert torch.equal(layer.get_buffer(key), buffer), key
    layer.reset_parameters()
    assert torch.equal(layer.weight, torch.ones(CHANNELS))


@pytest.mark.parametrize("name", STATEFUL)
def test_an_averaged_model_evaluates_once_its_statistics_are_updated(name: str) -> None:
    model = convolutional(name)
    averaged = AveragedModel(model)
    loader = [(torch.randn(8, 3, 6, 6), torch.zeros(8)) for _ in range(3)]
    averaged.update_parameters(model)
    update_bn(loader, averaged)
    y = averaged.eval()(loader[0][0])
    assert 0.05 < float(y.detach().std()) < 20


@pytest.mark.parametrize("name", STATEFUL)
def test_dropping_running_statistics_is_refused(name: str) -> None:
    with pytest.raises(TypeError, match="track_running_stats=False"):
        replace_all_batch_norm_modules_(prepared(name))
