"""torch.func, forward-mode differentiation and second derivatives."""

from __future__ import annotations

import copy
import itertools
from collections.abc import Callable

import pytest
import torch
from prepared_norms import NAMES, STATEFUL, batch, prepared, trained
from torch import Tensor, nn
from torch.autograd import forward_ad
from torch.func import functional_call, grad, jvp, stack_module_state, vmap

import normmods

CASES = [
    *itertools.product(NAMES, ["ema"]),
    *((n, "batch") for n in NAMES if "eval_statistics" in normmods.options(n)),
]
IN_BOTH_MODES = [
    *((name, choice, False) for name, choice in CASES),
    *((name, "ema", True) for name in NAMES if name != "mabn"),  # for mabn see the last tests
]
RENORMS = ("batchrenorm", "renorm_debias")


def evaluated(name: str, choice: str) -> nn.Module:
    layer = trained(prepared(name)).eval()
    if hasattr(layer, "eval_statistics"):
        layer.eval_statistics = choice
    return layer


def frozen(layer: nn.Module) -> nn.Module:
    """The layer in float64 with what is constant to its gradient held at the values of a batch."""
    layer = layer.double()
    if hasattr(layer, "_compute_correction"):
        layer._clipped_correction(
            torch.linspace(-1, 1, 8).double(), torch.linspace(0.5, 2, 8).double(), 1.5, 0.8
        )
        correction = layer._latest[2:]
        layer._compute_correction = lambda _mean, _std: correction
    if hasattr(layer, "group_weight"):
        layer.momentum = 0.0
    return layer


@pytest.mark.parametrize(("name", "choice"), CASES)
def test_an_ensemble_is_evaluated_by_vmap(name: str, choice: str) -> None:
    layers = [evaluated(name, choice) for _ in range(3)]
    with torch.no_grad():
        for parameter in itertools.chain(*(layer.parameters() for layer in layers)):
            parameter.add_(0.2 * torch.randn_like(parameter))
    x = batch(4)
    expected = torch.stack([layer(x) for layer in layers])
    template = copy.deepcopy(layers[0]).to("meta")

    def one(parameters: dict[str, Tensor], buffers: dict[str, Tensor]) -> Tensor:
        found: Tensor = functional_call(template, (parameters, buffers), (x,))
        return found

    found = vmap(one)(*stack_module_state(layers))
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(("name", "choice"), CASES)
def test_vmap_over_inputs_is_one_call_an_input(name: str, choice: str) -> None:
    layer, inputs = evaluated(name, choice), torch.stack([batch(4), batch(5)])
    expected = torch.stack([layer(x) for x in inputs])
    torch.testing.assert_close(vmap(layer)(inputs), expected, rtol=1e-4, atol=1e-5)


def slope(layer: Callable[[Tensor], Tensor], x: Tensor, along: Tensor) -> Tensor:
    step = 1e-6
    with torch.no_grad():
        return (layer(x + step * along) - layer(x - step * along)) / (2 * step)


@pytest.mark.parametrize(("name", "choice", "training"), IN_BOTH_MODES)
def test_forward_mode_agrees_with_finite_differences(
    name: str, choice: str, training: bool
) -> None:
    layer = frozen(evaluated(name, choice)).train(training)
    x, along = (batch(step, dtype=torch.float64) for step in (4, 6))
    expected = slope(layer, x, along)
    with forward_ad.dual_level():
        y = forward_ad.unpack_dual(layer(forward_ad.make_dual(x, along)))
        torch.testing.assert_close(y.tangent, expected, rtol=1e-5, atol=1e-6)
        torch.testing.assert_close(y.primal, layer(x))
    if training and name in STATEFUL:
        return  # torch.func refuses to move captured statistics; torch's batch norm alike
    torch.testing.assert_close(jvp(layer, (x,), (along,))[1], expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(("name", "choice", "training"), IN_BOTH_MODES)
def test_grad_is_backward_s(name: str, choice: str, training: bool) -> None:
    layer = evaluated(name, choice).train(training)
    twin, x = copy.deepcopy(layer), batch(4)
    twin(x).pow(3).sum().backward()
    buffers = dict(layer.named_buffers())

    def loss(parameters: dict[str, Tensor], buffers: dict[str, Tensor]) -> Tensor:
        found: Tensor = functional_call(layer, (parameters, buffers), (x,)).pow(3).sum()
        return found

    found = grad(loss)(dict(layer.named_parameters()), buffers)
    for key, parameter in twin.named_parameters():
        torch.testing.assert_close(found[key], parameter.grad, rtol=2e-3, atol=2e-3)
    for key, buffer in twin.named_buffers():
        torch.testing.assert_close(buffers[key], buffer, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(("name", "choice", "training"), IN_BOTH_MODES)
def test_second_derivatives(name: str, choice: str, training: bool) -> None:
    layer = frozen(evaluated(name, choice)).train(training)
    names = [key for key, _ in layer.named_parameters()]
    values = [p.detach().clone().requires_grad_() for p in layer.parameters()]
    x = batch(4, 3, torch.float64)[:, :, :2, :1].clone().requires_grad_()

    def fresh(x: Tensor, *parameters: Tensor) -> Tensor:
        twin = copy.deepcopy(layer)
        found: Tensor = functional_call(twin, dict(zip(names, parameters, strict=True)), (x,))
        return found

    assert torch.autograd.gradgradcheck(fresh, (x, *values), atol=1e-4, fast_mode=True)


@pytest.mark.parametrize("bias", ["before", "multiply", "none"])
def test_second_derivatives_of_assocnorm_s_forms(bias: str) -> None:
    layer = prepared("assocnorm", bias=bias, pairing="variance_to_weight").double()
    x = batch(4, 2, torch.float64)[:, :, :2, :1].clone().requires_grad_()
    assert torch.autograd.gradgradcheck(layer, (x,), atol=1e-4)


@pytest.mark.parametrize("name", [*RENORMS, "assocnorm"])
def test_a_graph_of_the_gradient_changes_no_state_twice_and_no_gradient(name: str) -> None:
    layer, twin = prepared(name), prepared(name)
    inputs = [batch(4).requires_grad_() for _ in range(2)]
    first = torch.autograd.grad(layer(inputs[0]).pow(3).sum(), inputs[0], create_graph=True)[0]
    second = torch.autograd.grad(twin(inputs[1]).pow(3).sum(), inputs[1])[0]
    torch.testing.assert_close(first, second, rtol=1e-3, atol=1e-3)
    for key, buffer in twin.named_buffers():
        assert torch.equal(layer.get_buffer(key), buffer)


def test_clipped_fraction_is_of_the_latest_batch_outside_of_transforms() -> None:
    layer = evaluated("batchrenorm", "batch")
    layer(batch(4))
    before = layer.clipped_fraction()
    vmap(layer)(torch.stack([batch(5), batch(6)]))
    assert torch.equal(layer.clipped_fraction(), before)


def test_mabn_says_what_its_backward_pass_forbids() -> None:
    layer, x = trained(prepared("mabn")), batch(4).requires_grad_()
    with pytest.raises(RuntimeError, match=r"no second derivative in training.*create_graph=True"):
        torch.autograd.grad(layer(x).sum(), x, create_graph=True)
    with pytest.raises(RuntimeError, match=r"loss\.backward\(\) alone.*torch\.func"):
        jvp(layer, (x,), (x,))
    before = {key: value.clone() for key, value in layer.state_dict().items()}
    with pytest.raises(RuntimeError, match=r"loss\.backward\(\) alone"):
        grad(lambda x: layer(x).sum())(x)
    assert all(torch.equal(value, before[key]) for key, value in layer.state_dict().items())


@pytest.mark.parametrize("name", ["batchnorm", "batchrenorm"])
def test_training_statistics_are_as_closed_to_transforms_as_torchs(name: str) -> None:
    for layer in (nn.BatchNorm2d(8), prepared(name)):
        with pytest.raises(RuntimeError, match="in-place"):
            grad(lambda x, layer=layer: layer(x).sum())(batch())
