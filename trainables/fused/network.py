"""From S models of one architecture to the network that computes them all.

The network is a view of the models: its parameters and per-network buffers share their memory.
Training it trains them, and loading a checkpoint into one of them loads it into the network.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from typing import Generic, NamedTuple, TypeVar

import torch
from torch import Tensor, nn

from trainables.errors import NotFusable
from trainables.fused.convolution import FusedConvolution, as_products
from trainables.fused.layers import Batched, FusedDropout, FusedLinear

CHANNEL_BY_CHANNEL = (
    *(nn.ReLU, nn.ReLU6, nn.LeakyReLU, nn.ELU, nn.SELU, nn.GELU, nn.SiLU, nn.Mish, nn.Hardswish),
    *(nn.Sigmoid, nn.Tanh, nn.Softplus, nn.Identity, nn.Flatten),
    *(nn.MaxPool2d, nn.AvgPool2d, nn.AdaptiveAvgPool2d, nn.AdaptiveMaxPool2d, nn.ZeroPad2d),
)
"""Layers that do the same to every channel and nothing across channels: they serve S as one."""


T = TypeVar("T", bound=Tensor)


class Shared(NamedTuple, Generic[T]):
    """A parameter or buffer of a fused network, and what it is made of.

    Attributes:
        whole: the network's.
        own: each model's, in their order.
        by_model: a view of something laid out like `whole`, `(S, ...)`, each part of which has
            the shape of a model's own.
    """

    whole: T
    own: tuple[T, ...]
    by_model: Callable[[Tensor], Tensor]

    @torch.no_grad()
    def joined(self, tensors: Sequence[Tensor]) -> Tensor:
        """One of each model's tensors in one, laid out like `whole`, of which they become parts."""
        together = torch.empty_like(self.whole)
        for each, part in zip(tensors, self.by_model(together), strict=True):
            part.copy_(each)
            each.data = part
            each.grad = None
        return together


class FusedNetwork:
    """One network from `(B, S C, H, W)` to `(B, S K)`, in the models' order.

    Attributes:
        model: the network.
        parameters: each of its parameters, and the models' own, which are parts of it.

    Raises:
        NotFusable: a layer, which is named, neither declares `widened` (see `normmods.Norm`), nor
            is one of torch's known here, nor can be batched by `torch.func`.
    """

    def __init__(self, models: Sequence[nn.Module]) -> None:
        self.num_networks = len(models)
        self.parameters: list[Shared[nn.Parameter]] = []
        self._fused: dict[int, nn.Module] = {}  # a layer may stand at several places
        self.model = self._layer(models, "")

    def edition_of(self, layer: nn.Module) -> nn.Module:
        """What became of a layer of the first model."""
        return self._fused[id(layer)]

    def draw_from(self, streams: Sequence[torch.Generator]) -> None:
        """Have each network's dropout draw from a stream of its own."""
        for layer in self.model.modules():
            if isinstance(layer, FusedDropout):
                layer.streams = streams

    def _layer(self, layers: Sequence[nn.Module], path: str) -> nn.Module:
        first = layers[0]
        if id(first) not in self._fused:
            if _is_leaf(first):
                wide = _on_device_of(first, _leaf(first, self.num_networks)).train(first.training)
                self._share_state(wide, layers)
            else:
                wide = self._container(layers, path)
            self._fused[id(first)] = wide
        return self._fused[id(first)]

    def _container(self, layers: Sequence[nn.Module], path: str) -> nn.Module:
        """The first model's own module, forward and all, around fused children."""
        first = layers[0]
        if next(first.parameters(recurse=False), None) is not None:
            where = f"{path or 'the model'} ({type(first).__name__})"
            raise NotFusable(f"{where} has parameters of its own beside its layers")
        shell = first.__class__.__new__(first.__class__)
        nn.Module.__init__(shell)
        shell.__dict__ |= {k: v for k, v in first.__dict__.items() if k not in shell.__dict__}
        shell.training = first.training
        for name, _ in first.named_children():
            children = [layer.get_submodule(name) for layer in layers]
            shell.add_module(name, self._layer(children, f"{path}.{name}".lstrip(".")))
        return shell

    @torch.no_grad()
    def _share_state(self, wide: nn.Module, layers: Sequence[nn.Module]) -> None:
        """Have the layers' state be parts of the wide layer's, and their counters be its own."""
        for parameter, *own in zip(
            wide.parameters(), *(x.parameters() for x in layers), strict=True
        ):
            shared = self._shared(wide, parameter, own)
            parameter.data = shared.joined(own)
            self.parameters.append(shared)
        for buffer, *own in zip(wide.buffers(), *(x.buffers() for x in layers), strict=True):
            if buffer.dim():
                buffer.data = self._shared(wide, buffer, own).joined(own)
                continue
            buffer.copy_(own[0])
            for each in own:
                each.data = buffer.data

    def _shared(self, wide: nn.Module, whole: T, own: Sequence[T]) -> Shared[T]:
        def by_model(together: Tensor) -> Tensor:
            return together.view(self.num_networks, *own[0].shape)

        return Shared(whole, tuple(own), getattr(wide, "by_model", by_model))


def _leaf(one: nn.Module, num_networks: int) -> nn.Module:
    if hasattr(one, "widened"):
        return one.widened(num_networks)  # type: ignore[operator, no-any-return]
    if as_products(one):
        return FusedConvolution(one, num_networks)  # type: ignore[arg-type]
    if isinstance(one, nn.Conv2d):
        return _convolution(one, num_networks)
    if type(one) is nn.Linear:
        return FusedLinear(one, num_networks)
    if type(one) is nn.Dropout:
        return FusedDropout(one.p, num_networks)
    if type(one) in CHANNEL_BY_CHANNEL:
        return copy.deepcopy(one)
    return Batched(one, num_networks)


def _on_device_of(one: nn.Module, wide: nn.Module) -> nn.Module:
    """A layer's own `widened` may not know where the layer has been moved."""
    state = [*one.parameters(), *one.buffers()]
    return wide.to(state[0].device) if state else wide


def _is_leaf(layer: nn.Module) -> bool:
    known = isinstance(layer, nn.Conv2d) or hasattr(layer, "widened")
    return known or not any(True for _ in layer.children())


def _convolution(one: nn.Conv2d, num_networks: int) -> nn.Conv2d:
    """Groups of channels that never meet. A parametrization works by output channel and stays."""
    wide = copy.deepcopy(one)
    wide.in_channels *= num_networks
    wide.out_channels *= num_networks
    wide.groups *= num_networks
    for parameter in wide.parameters():
        parameter.data = torch.cat([parameter.data] * num_networks)
    return wide
