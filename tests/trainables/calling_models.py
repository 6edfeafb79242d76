"""Models that call their layers in uncommon ways; named in specs as `calling_models:…`."""

from __future__ import annotations

import contextlib
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from trainables.models.layers import NormFactory


class Base(nn.Module):
    """Two convolutions with norms and a linear layer."""

    def __init__(self, *, in_channels: int, num_classes: int, norm: NormFactory) -> None:
        super().__init__()
        self.conv1, self.norm1 = nn.Conv2d(in_channels, 8, 3, padding=1), norm(8)
        self.conv2, self.norm2 = nn.Conv2d(8, 8, 3, padding=1), norm(8)
        self.fc = nn.Linear(8, num_classes)

    def forward(self, x: Tensor) -> Tensor:
        x = F.relu(self.norm1(self.conv1(x)))
        x = F.relu(self.norm2(self.conv2(x)))
        return self.fc(x.mean((2, 3)))  # type: ignore[no-any-return]


class Concatenate(nn.Module):
    def forward(self, maps: list[Tensor]) -> Tensor:
        return torch.cat([m.mean((2, 3)) for m in maps], 1)


class TakesAList(Base):
    def __init__(self, **given: Any) -> None:
        super().__init__(**given)
        self.join = Concatenate()
        self.fc = nn.Linear(16, given["num_classes"])

    def forward(self, x: Tensor) -> Tensor:
        a = self.norm1(self.conv1(x)).relu()
        return self.fc(self.join([a, self.norm2(self.conv2(a)).relu()]))  # type: ignore[no-any-return]


class Attention(Base):
    """Called by keyword; gives a tuple."""

    def __init__(self, **given: Any) -> None:
        super().__init__(**given)
        self.attention = nn.MultiheadAttention(8, 2, batch_first=True)
        self.cell = nn.LSTM(8, 8, batch_first=True)

    def forward(self, x: Tensor) -> Tensor:
        x = self.norm2(self.conv2(input=self.norm1(self.conv1(input=x)).relu()))
        tokens = x.flatten(2).transpose(1, 2)
        seen, _ = self.attention(query=tokens, key=tokens, value=tokens, need_weights=False)
        return self.fc(self.cell(seen)[0].mean(1))  # type: ignore[no-any-return]


class SkipsBlocks(Base):
    """Stochastic depth that skips all but one training pass in a thousand."""

    def forward(self, x: Tensor) -> Tensor:
        x = self.norm1(self.conv1(x)).relu()
        if not self.training or torch.rand(()) < 0.001:
            x = x + self.norm2(self.conv2(x)).relu()
        return self.fc(x.mean((2, 3)))  # type: ignore[no-any-return]


class Checkpointed(Base):
    def forward(self, x: Tensor) -> Tensor:
        def block(x: Tensor) -> Tensor:
            return self.norm2(self.conv2(self.norm1(self.conv1(x)).relu())).relu()  # type: ignore[no-any-return]

        return self.fc(checkpoint(block, x, use_reentrant=False).mean((2, 3)))  # type: ignore[no-any-return]


class CallsForward(Base):
    """Calls a layer twice at different sizes, and its `forward` without its hooks."""

    def forward(self, x: Tensor) -> Tensor:
        x = self.norm1.forward(self.conv1(x)).relu()
        for _ in range(2):
            x = F.avg_pool2d(self.norm2.forward(self.conv2.forward(x)).relu(), 2)
        return self.fc(x.mean((2, 3)))  # type: ignore[no-any-return]


class SetsForward(Base):
    """Gives a layer a `forward` of its own."""

    def __init__(self, **given: Any) -> None:
        super().__init__(**given)
        forward = self.norm1.forward
        self.norm1.forward = lambda x: forward(x + 0)  # type: ignore[method-assign]


class Recovers(Base):
    """Has a layer that fails, and goes on without it."""

    def __init__(self, **given: Any) -> None:
        super().__init__(**given)
        self.wrong = nn.Conv2d(5, 5, 1)

    def forward(self, x: Tensor) -> Tensor:
        with contextlib.suppress(RuntimeError):
            x = self.wrong(x)
        return super().forward(x)


class NeverCalls(Base):
    """Its layer of the norm stands there unused; torch's is in its place."""

    def __init__(self, **given: Any) -> None:
        super().__init__(**given)
        self.norm2 = None  # type: ignore[assignment]
        self.bn = nn.BatchNorm2d(8)

    def forward(self, x: Tensor) -> Tensor:
        return self.fc(self.bn(self.conv1(x)).relu().mean((2, 3)))  # type: ignore[no-any-return]


class HalfSwapped(Base):
    """One layer of the norm is called, one is not, and two are not the norm's."""

    def __init__(self, **given: Any) -> None:
        super().__init__(**given)
        self.bn = nn.BatchNorm2d(8)
        self.final = nn.Sequential(nn.GroupNorm(2, 8))

    def forward(self, x: Tensor) -> Tensor:
        x = self.norm1(self.conv1(x)).relu()
        x = self.bn(self.conv2(x)).relu()
        return self.fc(self.final(x).mean((2, 3)))  # type: ignore[no-any-return]


class Lazy(Base):
    def __init__(self, **given: Any) -> None:
        super().__init__(**given)
        self.fc = nn.LazyLinear(given["num_classes"])


class OwnWeights(Base):
    """Begins with a zero head and an orthogonal convolution."""

    def __init__(self, **given: Any) -> None:
        super().__init__(**given)
        nn.init.orthogonal_(self.conv2.weight)
        nn.init.zeros_(self.fc.weight)
        nn.init.constant_(self.fc.bias, -2.0)


class Pretrained(Base):
    """Begins with weights that it has from elsewhere."""

    def __init__(self, **given: Any) -> None:
        super().__init__(**given)
        weights = torch.full(self.conv1.weight.shape, 0.25, device="cpu")
        self.load_state_dict({"conv1.weight": weights}, strict=False)


class Walks(Base):
    """Draws the weights of every convolution and linear layer, a norm's own included."""

    def __init__(self, **given: Any) -> None:
        super().__init__(**given)
        for layer in self.modules():
            if isinstance(layer, nn.Conv2d | nn.Linear):
                nn.init.normal_(layer.weight)


def densenet(*, in_channels: int, num_classes: int, norm: NormFactory) -> nn.Module:
    """torchvision's, whose layers take lists, with every BatchNorm swapped."""
    from torchvision.models import DenseNet

    model = DenseNet(8, (2, 2), num_init_features=8, bn_size=2, num_classes=num_classes)
    model.features.conv0 = nn.Conv2d(in_channels, 8, 3, padding=1)
    for path, layer in list(model.named_modules()):
        if isinstance(layer, nn.BatchNorm2d):
            model.set_submodule(path, norm(layer.num_features))
    return model  # type: ignore[no-any-return]
