"""Every layer compiled with its backward pass, held to the same layer run step by step."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import torch
from norm_inputs import random_input
from torch import Tensor, nn

import normmods

STEPS = 6
SCHEDULES: dict[str, dict[str, Any]] = {
    "batchrenorm": {"warmup_steps": 2, "r_ramp_steps": 3, "d_ramp_steps": 2, "momentum": 0.3},
    "mabn": {"history": 2, "warmup_steps": 3, "renormalize_after": 4, "momentum": 0.3},
    "renorm_debias": {"momentum": 0.3},
}
BACKWARD_READS_STATE = ("batchrenorm", "renorm_debias", "batchchannelnorm")
CASES = [
    *(("aot_eager", name) for name in normmods.names()),
    *(("inductor", name) for name in BACKWARD_READS_STATE),
]


def step(call: nn.Module, layer: nn.Module, x: Tensor, upstream: Tensor) -> list[Tensor]:
    """Output and all gradients."""
    x = x.clone().requires_grad_()
    y = call(x)
    return [y.detach(), *torch.autograd.grad(y, (x, *layer.parameters()), upstream)]


@pytest.mark.parametrize(("backend", "name"), CASES)
def test_compiled_steps_are_the_eager_ones(backend: str, name: str) -> None:
    torch.manual_seed(0)
    layer = normmods.prepare(normmods.build(name, 4, **SCHEDULES.get(name, {}))).double()
    twin = copy.deepcopy(layer)
    torch.compiler.reset()
    compiled = torch.compile(twin, fullgraph=True, backend=backend)
    for seed in range(STEPS):
        x = random_input((2, 4, 3, 3), seed=seed) * (1 + seed % 3) + seed % 4
        upstream = random_input((2, 4, 3, 3), seed=100 + seed)
        found = step(compiled, twin, x, upstream)
        for ours, eager in zip(found, step(layer, layer, x, upstream), strict=True):
            torch.testing.assert_close(ours, eager, rtol=1e-9, atol=1e-9)
        for (key, ours), eager in zip(twin.named_buffers(), layer.buffers(), strict=True):
            torch.testing.assert_close(ours, eager, rtol=1e-9, atol=1e-9, msg=f"{key}, {seed}")
