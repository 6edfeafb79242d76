"""The layers of S networks side by side: a map is (B, S C, H, W), network by network."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call


class FusedLinear(nn.Module):
    """S linear layers: `(B, S in)` to `(B, S out)`.

    Attributes:
        weight: `(S, out, in)`.
        bias: `(S, out)`, or None.
    """

    def __init__(self, one: nn.Linear, num_networks: int) -> None:
        super().__init__()
        weight = one.weight.detach()
        self.weight = nn.Parameter(weight.new_empty(num_networks, *weight.shape))
        self.bias = None
        if one.bias is not None:
            self.bias = nn.Parameter(weight.new_empty(num_networks, one.out_features))

    def forward(self, x: Tensor) -> Tensor:
        """Return the linear map of each network's features by the network's own weights."""
        rows = torch.unflatten(x, 1, (len(self.weight), -1)).transpose(0, 1)
        if self.bias is None:
            mapped = torch.bmm(rows, self.weight.mT)
        else:
            mapped = torch.baddbmm(self.bias[:, None], rows, self.weight.mT)
        return mapped.transpose(0, 1).flatten(1)


class FusedDropout(nn.Module):
    """Dropout that draws for each network the numbers that the network alone would draw.

    Attributes:
        streams: a generator for each network, in place of torch's global generator.
    """

    def __init__(self, p: float, num_networks: int) -> None:
        super().__init__()
        self.p = p
        self.num_networks = num_networks
        self.streams: Sequence[torch.Generator] = ()

    def forward(self, x: Tensor) -> Tensor:
        """Return `x` with elements dropped in training."""
        if not self.training or self.p == 0:
            return x
        shape = (len(x), x.shape[1] // self.num_networks, *x.shape[2:])
        kept = [
            torch.empty(shape, dtype=x.dtype, device=x.device).bernoulli_(
                1 - self.p, generator=stream
            )
            for stream in self.streams
        ]
        return x * torch.cat(kept, 1).div_(1 - self.p)


class BatchedLayer(nn.Module):
    """S copies of any layer that `torch.func` can batch; each tensor of its state is `(S, ...)`.

    The layer itself is kept as the function that is applied to the state.
    """

    def __init__(self, one: nn.Module, num_networks: int) -> None:
        super().__init__()
        self.num_networks = num_networks
        self.recipe = (one,)  # in a tuple, so that its state is not this module's
        self.places = {name: name.replace(".", "__") for name in one.state_dict(keep_vars=True)}
        for name, parameter in one.named_parameters():
            empty = parameter.detach().new_empty(num_networks, *parameter.shape)
            self.register_parameter(self.places[name], nn.Parameter(empty))
        for name, buffer in one.named_buffers():
            self.places.setdefault(name, name.replace(".", "__"))  # non-persistent ones
            self.register_buffer(self.places[name], buffer.new_empty(num_networks, *buffer.shape))

    def forward(self, x: Tensor) -> Tensor:
        """Return the layer's output for each network's channels."""
        one = self.recipe[0].train(self.training)
        state = {name: getattr(self, place) for name, place in self.places.items()}

        def call_one(own: dict[str, Tensor], features: Tensor) -> Any:
            """Return the layer's output with one network's parameters and buffers."""
            return functional_call(one, own, (features,))

        apart = torch.unflatten(x, 1, (self.num_networks, -1))
        batched = torch.vmap(call_one, in_dims=(0, 1), out_dims=1, randomness="different")
        return batched(state, apart).flatten(1, 2)  # type: ignore[no-any-return]
