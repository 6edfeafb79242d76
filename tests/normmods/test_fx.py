from __future__ import annotations

import copy

import pytest
import torch
from prepared_norms import NAMES, STATEFUL, batch, convolutional, prepared, trained
from torch import fx, nn
from torch.fx.experimental.proxy_tensor import make_fx

import normmods

CHOICES = ["ema", "batch"]


@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize("name", NAMES)
def test_a_traced_model_is_the_model(name: str, training: bool) -> None:
    model = convolutional(name).train(training)
    traced = fx.symbolic_trace(copy.deepcopy(model))
    for seed in range(3):
        torch.manual_seed(seed)
        x = torch.randn(2 + seed, 3, 5, 4)
        assert torch.equal(traced(x), model(x))
    for key, value in model.state_dict().items():
        assert torch.equal(traced.state_dict()[key], value), key


def test_a_layer_is_one_node_as_torchs_are() -> None:
    for norm in (nn.BatchNorm2d(8), prepared("batchnorm")):
        graph = fx.symbolic_trace(nn.Sequential(nn.ReLU(), norm)).graph
        called = [node.target for node in graph.nodes if node.op == "call_module"]
        assert called == ["0", "1"]


@pytest.mark.parametrize("choice", CHOICES)
@pytest.mark.parametrize("name", NAMES)
def test_a_bare_layer_in_evaluation_is_traced_through(name: str, choice: str) -> None:
    layer = trained(prepared(name)).eval()
    if hasattr(layer, "eval_statistics"):
        layer.eval_statistics = choice
    if (name, choice) == ("ghostbatchnorm", "batch"):
        with pytest.raises(ValueError, match="number of parts"):
            fx.symbolic_trace(layer)
        return
    traced = fx.symbolic_trace(layer)
    for dtype, tolerance in ((torch.float32, 1e-5), (torch.bfloat16, 2e-2)):
        for size in (2, 5):
            x = batch(4, size, dtype)
            y = traced(x)
            assert y.dtype == dtype
            torch.testing.assert_close(y, layer(x), rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("name", STATEFUL)
def test_a_bare_layer_in_training_is_refused_untouched(name: str) -> None:
    layer = prepared(name)
    before = copy.deepcopy(layer.state_dict())
    with pytest.raises(ValueError, match=r"training == False.*layer\.eval\(\)"):
        fx.symbolic_trace(layer)
    assert all(torch.equal(value, before[key]) for key, value in layer.state_dict().items())


@pytest.mark.parametrize("name", NAMES)
def test_operations_are_traced_by_make_fx(name: str) -> None:
    layer = trained(prepared(name)).eval()
    traced = make_fx(layer)(batch(4))
    torch.testing.assert_close(traced(batch(5)), layer(batch(5)), rtol=1e-4, atol=1e-5)


def test_an_unprepared_layer_is_refused() -> None:
    with pytest.raises(ValueError, match=r"normmods\.prepare"):
        fx.symbolic_trace(normmods.build("mabn", 8).eval())
