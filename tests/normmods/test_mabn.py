from __future__ import annotations

from collections import deque

import numpy as np
import pytest
import torch
from norm_formulas import close, per_channel
from norm_inputs import LAYOUTS, random_input, randomised

import normmods


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize(("history", "warmup_steps"), [(3, 0), (2, 5), (1, 0)])
def test_outputs_gradients_and_state_follow_the_formula(
    history: int, warmup_steps: int, layout: str
) -> None:
    options = {"history": history, "warmup_steps": warmup_steps, "momentum": 0.3}
    layer = normmods.prepare(randomised(normmods.build("mabn", 3, **options)))
    weight, bias = (per_channel(p.detach().numpy()) for p in (layer.weight, layer.bias))
    moments: deque = deque(maxlen=history)
    projections: deque = deque(maxlen=history)
    running = np.ones(3)
    for step in range(9):
        x = random_input((2, 3, 2, 3), layout, step).requires_grad_()
        upstream = random_input((2, 3, 2, 3), seed=100 + step)
        y = layer(x)
        (grad,) = torch.autograd.grad(y, x, upstream)
        values = x.detach().numpy()
        moments.append((values**2).mean((0, 2, 3)))
        averaging = step >= max(history, warmup_steps)
        moment = np.mean(moments, 0) if averaging else moments[-1]
        rstd = per_channel(1 / np.sqrt(moment + 1e-5))
        z, grad_z = values * rstd, upstream.numpy() * weight
        projections.append((grad_z * z).mean((0, 2, 3)))
        projection = np.mean(projections, 0) if averaging else projections[-1]
        running = 0.7 * running + 0.3 * moment
        assert close(y.detach().numpy(), weight * z + bias)
        assert close(grad.numpy(), (grad_z - z * per_channel(projection)) * rstd)
    np.testing.assert_allclose(layer.running_var, running)
    x = random_input((2, 3, 2, 3), seed=50)
    z = x.numpy() * per_channel(1 / np.sqrt(running + 1e-5))
    assert close(layer.eval()(x).detach().numpy(), weight * z + bias)


def test_plain_gradients_while_the_history_fills() -> None:
    layer = normmods.prepare(randomised(normmods.build("mabn", 3)))
    x = random_input((2, 3, 2, 2)).requires_grad_()
    assert torch.autograd.gradcheck(lambda x, *_: layer(x), (x, *layer.parameters()))


@pytest.mark.parametrize("bad", [{"history": 0}, {"warmup_steps": -1}, {"momentum": 2.0}])
def test_options_out_of_range_are_refused(bad: dict[str, float]) -> None:
    ((name, value),) = bad.items()
    with pytest.raises(ValueError, match=f"{name}={value}"):
        normmods.build("mabn", 3, **bad)
