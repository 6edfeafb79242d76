"""Parameters that a layer's initial values leave without a gradient, counted over many draws."""

from __future__ import annotations

from collections import defaultdict

import torch

from normmods.layer_under_test import Subject

DRAWS = 100
"""Layers drawn: a share of 25 % is then found within 9 points, 19 times of 20."""


def initial_gradients(subject: Subject) -> str:
    """How many new layers have a parameter without any gradient, and which it is.

    A hidden unit behind a relu that is off for every example passes none, and so stays off. Each
    layer is drawn anew and gets one training batch of standard normal input. It is told, not
    judged: some papers' initial values are so.
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
