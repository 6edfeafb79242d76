"""What AssocNorm adds to torchvision's ImageNet ResNets (the AssocNorm paper's Table 4).

python benchmarks/parameters.py
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import nn
from torchvision import models

import normmods

RESNETS: tuple[Callable[[], nn.Module], ...] = (
    models.resnet18,
    models.resnet34,
    models.resnet50,
    models.resnet101,
    models.resnet152,
)


def base_and_added(resnet: Callable[[], nn.Module]) -> tuple[int, int, int]:
    """Parameters with BatchNorm, and what AssocNorm adds with key features by group, channel."""
    with torch.device("meta"):
        model = resnet()
    norms = [module for module in model.modules() if isinstance(module, nn.BatchNorm2d)]
    channels = [norm.num_features for norm in norms]
    by_group, by_channel = (
        normmods.added_parameters("assocnorm", channels, key_features=key)
        for key in ("group", "channel")
    )
    return sum(parameter.numel() for parameter in model.parameters()), by_group, by_channel


def main() -> None:
    print(f"{'model':10} {'BatchNorm':>12} {'by group':>10} {'%':>7} {'by channel':>12} {'%':>7}")
    for resnet in RESNETS:
        base, by_group, by_channel = base_and_added(resnet)
        print(
            f"{resnet.__name__:10} {base:12,} {by_group:+10,} {100 * by_group / base:7.2f}"
            f" {by_channel:+12,} {100 * by_channel / base:7.2f}"
        )


if __name__ == "__main__":
    main()
