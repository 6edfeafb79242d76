"""The property `initial_gradients`: parameters that initial values leave without a gradient."""

from __future__ import annotations

from collections import defaultdict

import torch

from normmods.layer_under_test import LayerUnderTest

DRAWS = 100
"""Layers drawn: a share of 25 % is found within 9 points, 19 times of 20."""


def initial_gradients(subject: LayerUnderTest) -> str:
    """Report how many new layers have a parameter without any gradient, and which parameter.

    A hidden unit behind a relu that is off for every example passes no gradient, and so stays off.
    Each layer is drawn anew and gets one training batch of standard normal input. The property
    always holds, since some papers' initial values are such.
    """
    without: dict[str, int] = defaultdict(int)
    for seed in range(DRAWS):
        layer = subject.build_initial(seed)
        parameters = dict(layer.named_parameters())
        if not parameters:
            return "there is no parameter"
        y = layer(torch.randn(4, subject.num_channels, 16, 16))
        y.backward(torch.randn(y.shape))
        for name, parameter in parameters.items():
            if parameter.grad is None or not parameter.grad.any():
                without[name] += 1
    if not without:
        return f"every parameter has one, in each of {DRAWS} new layers"
    found = ", ".join(f"{name} has none in {count}" for name, count in without.items())
    return f"of {DRAWS} new layers, {found}"
