from __future__ import annotations

import numpy as np
import pytest
import torch
from norm_inputs import random_input
from torch import nn
from torch.nn import functional
from torch.nn.utils import parametrize

import normmods
from normmods.weight_forms import CenteredWeight, StandardizedWeight


def net(name: str) -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(3, 4, 1),
        nn.Conv2d(4, 8, 3),
        normmods.build(name, 8),
        nn.ReLU(),
        nn.Conv2d(8, 2, 1),
    )


def test_forms_are_those_of_the_papers() -> None:
    weight = random_input((4, 3, 2, 2))
    flat = weight.numpy().reshape(4, -1)
    centered = flat - flat.mean(1, keepdims=True)
    standardized = centered / np.sqrt((centered**2).mean(1, keepdims=True) + 1e-5)
    np.testing.assert_allclose(CenteredWeight()(weight).reshape(4, -1), centered)
    np.testing.assert_allclose(StandardizedWeight()(weight).reshape(4, -1), standardized)
    for form in (StandardizedWeight(), CenteredWeight()):
        assert torch.autograd.gradcheck(form, (weight.clone().requires_grad_(),))


def test_only_the_convolution_before_the_norm_changes() -> None:
    model = normmods.prepare(net("groupnorm_ws"))
    plain = net("groupnorm")
    assert [parametrize.is_parametrized(m) for m in model] == [False, True, False, False, False]
    x = torch.randn(2, 3, 5, 5)
    weight = StandardizedWeight()(plain[1].weight)
    hidden = functional.conv2d(plain[0](x), weight, plain[1].bias)
    hidden = functional.group_norm(hidden, 8)
    torch.testing.assert_close(model(x), plain[4](hidden.relu()))
    model(x).sum().backward()
    assert model[1].parametrizations.weight.original.grad.abs().sum() > 0


def test_preparing_twice_or_for_nothing_changes_nothing() -> None:
    model = normmods.prepare(normmods.prepare(net("mabn")))
    assert len(model[1].parametrizations.weight) == 1
    assert (
        normmods.prepare(net("batchnorm")).state_dict().keys()
        == net("batchnorm").state_dict().keys()
    )
    assert normmods.prepare(normmods.build("groupnorm_ws", 4)).prepared


def test_what_is_not_prepared_is_refused() -> None:
    with pytest.raises(ValueError, match=r"call normmods\.prepare\(model\)"):
        net("groupnorm_ws")(torch.randn(2, 3, 5, 5))
    wrong = nn.Sequential(nn.Conv2d(3, 4, 1), normmods.build("groupnorm_ws", 8))
    with pytest.raises(ValueError, match="num_channels=8 output channels, but got one to 4"):
        normmods.prepare(wrong)
    alone = nn.Sequential(normmods.build("groupnorm_ws", 8))
    with pytest.raises(ValueError, match="but got none"):
        normmods.prepare(alone)
