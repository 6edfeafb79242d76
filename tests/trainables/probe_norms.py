"""Norms a user might bring, each odd in one way; named in specs as `probe_norms:…`."""

from typing import ClassVar

import torch
from torch import Tensor, nn


class WithDropout(nn.Sequential):
    """Draws from torch's global generator at every training step."""

    def __init__(self, num_channels: int) -> None:
        super().__init__(nn.BatchNorm2d(num_channels), nn.Dropout(0.2))


class WithLinear(nn.Module):
    """Holds layers of the kinds that models hold, with initial values of its own."""

    def __init__(self, num_channels: int) -> None:
        super().__init__()
        self.gate = nn.Linear(num_channels, num_channels)
        self.mix = nn.Conv2d(num_channels, num_channels, 1)
        nn.init.normal_(self.gate.weight)
        nn.init.constant_(self.mix.weight, 0.25)

    def forward(self, x: Tensor) -> Tensor:
        return self.mix(x) * torch.sigmoid(self.gate(x.mean((2, 3))))[..., None, None]


class ReadsValues(nn.BatchNorm2d):
    """Looks at a value, which the meta device does not have."""

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x) if x.abs().max().item() >= 0 else x


class SavesOutput(nn.BatchNorm2d):
    """Ends in an operation whose backward pass needs its output unchanged."""

    def forward(self, x: Tensor) -> Tensor:
        return torch.tanh(super().forward(x))


class EndsInActivation(nn.BatchNorm2d):
    replaces_activation = True


class Activated(EndsInActivation):
    """Ends in a ReLU, and says what it is where no activation follows."""

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x).relu()

    def without_activation(self) -> nn.Module:
        return nn.BatchNorm2d(self.num_features)


class Explodes(nn.Module):
    def __init__(self, num_channels: int) -> None:
        super().__init__()
        if num_channels > 4:
            raise RuntimeError("too many channels\nfor me")

    def forward(self, x: Tensor) -> Tensor:
        return x


class GroupOfOne(nn.GroupNorm):
    """torch's own group normalization with one channel a group."""

    def __init__(self, num_channels: int) -> None:
        super().__init__(num_channels, num_channels)


class NamesItsInput(nn.Module):
    """Calls the layer inside it by keyword."""

    def __init__(self, num_channels: int) -> None:
        super().__init__()
        self.inner = nn.BatchNorm2d(num_channels)

    def forward(self, x: Tensor) -> Tensor:
        return self.inner(input=x)


class Settings(nn.GroupNorm):
    """Notes, at each forward pass in training, what torch has been told about determinism."""

    seen: ClassVar[set[tuple[int, bool, bool]]] = set()

    def __init__(self, num_channels: int) -> None:
        super().__init__(1, num_channels)

    def forward(self, x: Tensor) -> Tensor:
        cudnn = torch.backends.cudnn
        mode = torch.get_deterministic_debug_mode()
        self.seen.add((mode, cudnn.deterministic, cudnn.benchmark))
        return super().forward(x)


class Puts(nn.GroupNorm):
    """Uses an operation of which torch has no deterministic algorithm on any device."""

    def __init__(self, num_channels: int) -> None:
        super().__init__(1, num_channels)

    def forward(self, x: Tensor) -> Tensor:
        if x.requires_grad:  # in training, and not when the cell is checked
            torch.zeros(1, device=x.device).put_(torch.zeros(1, dtype=torch.long), torch.ones(1))
        return super().forward(x)


class OfItsGradient(nn.GroupNorm):
    """Differentiates within its forward pass, which testing does not allow."""

    def __init__(self, num_channels: int) -> None:
        super().__init__(1, num_channels)

    def forward(self, x: Tensor) -> Tensor:
        with torch.enable_grad():
            copy = x.detach().requires_grad_()
            (gradient,) = torch.autograd.grad(super().forward(copy).square().sum(), copy)
        return super().forward(x) + 0 * gradient


class Lazy(nn.Sequential):
    """Holds a layer whose parameters have no shape before the first batch."""

    def __init__(self, num_channels: int) -> None:
        super().__init__(nn.LazyBatchNorm2d())


built = nn.BatchNorm2d(8)
