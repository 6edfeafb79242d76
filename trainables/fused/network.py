"""Fusion of S models of one architecture into one network that computes all of them.

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
from trainables.fused.convolution import FusedConvolution, is_supported_convolution
from trainables.fused.layers import BatchedLayer, FusedDropout, FusedLinear

CHANNELWISE_LAYERS = (
    *(nn.ReLU, nn.ReLU6, nn.LeakyReLU, nn.ELU, nn.SELU, nn.GELU, nn.SiLU, nn.Mish, nn.Hardswish),
    *(nn.Sigmoid, nn.Tanh, nn.Softplus, nn.Identity, nn.Flatten),
    *(nn.MaxPool2d, nn.AvgPool2d, nn.AdaptiveAvgPool2d, nn.AdaptiveMaxPool2d, nn.ZeroPad2d),
)
"""Layers that do the same to every channel and nothing across channels: one serves S networks."""


T = TypeVar("T", bound=Tensor)


class SharedTensor(NamedTuple, Generic[T]):
    """A parameter or buffer of a fused network, and the models' tensors that are parts of it.

    Attributes:
        whole: the network's tensor.
        parts: each model's tensor, in the models' order.
        split_by_model: returns a view of a tensor laid out like `whole`, `(S, ...)`, each part of
            which has the shape of a model's tensor.
    """

    whole: T
    parts: tuple[T, ...]
    split_by_model: Callable[[Tensor], Tensor]

    @torch.no_grad()
    def join(self, tensors: Sequence[Tensor]) -> Tensor:
        """Return one tensor laid out like `whole`, and make the models' tensors its parts."""
        together = torch.empty_like(self.whole)
        for each, part in zip(tensors, self.split_by_model(together), strict=True):
            part.copy_(each)
            each.data = part
            each.grad = None
        return together


class FusedNetwork:
    """One network from `(B, S C, H, W)` to `(B, S K)`, in the models' order.

    Args:
        models: S models of one architecture.

    Attributes:
        model: the network.
        parameters: the network's parameters with the models' parameters that are parts of them.

    Raises:
        NotFusable: a layer, which is named, neither declares `widened` (see `normmods.Norm`), nor
            is a supported layer of torch, nor can be batched by `torch.func`.
    """

    def __init__(self, models: Sequence[nn.Module]) -> None:
        self.num_networks = len(models)
        self.parameters: list[SharedTensor[nn.Parameter]] = []
        self._fused: dict[int, nn.Module] = {}  # a layer may stand at several places
        self.model = self._fuse_layer(models, "")

    def fused_layer(self, layer: nn.Module) -> nn.Module:
        """Return the network's layer that computes this layer of the first model."""
        return self._fused[id(layer)]

    def set_dropout_streams(self, streams: Sequence[torch.Generator]) -> None:
        """Set the generator from which each network's dropout draws."""
        for layer in self.model.modules():
            if isinstance(layer, FusedDropout):
                layer.streams = streams

    def _fuse_layer(self, layers: Sequence[nn.Module], path: str) -> nn.Module:
        """Return the fused layer of the models' `layers` at `path`; a shared layer has one."""
        first = layers[0]
        if id(first) not in self._fused:
            if _is_leaf(first):
                wide = _move_to_device_of(first, _widen_layer(first, self.num_networks)).train(
                    first.training
                )
                self._share_state(wide, layers)
            else:
                wide = self._fuse_container(layers, path)
            self._fused[id(first)] = wide
        return self._fused[id(first)]

    def _fuse_container(self, layers: Sequence[nn.Module], path: str) -> nn.Module:
        """Return a copy of the first model's module, `forward` included, around fused children."""
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
            shell.add_module(name, self._fuse_layer(children, f"{path}.{name}".lstrip(".")))
        return shell

    @torch.no_grad()
    def _share_state(self, wide: nn.Module, layers: Sequence[nn.Module]) -> None:
        """Make the layers' tensors parts of the wide layer's, and replace counters by its own."""
        for parameter, *parts in zip(
            wide.parameters(), *(x.parameters() for x in layers), strict=True
        ):
            shared = self._shared_tensor(wide, parameter, parts)
            parameter.data = shared.join(parts)
            self.parameters.append(shared)
        for buffer, *parts in zip(wide.buffers(), *(x.buffers() for x in layers), strict=True):
            if buffer.dim():
                buffer.data = self._shared_tensor(wide, buffer, parts).join(parts)
                continue
            buffer.copy_(parts[0])
            for each in parts:
                each.data = buffer.data

    def _shared_tensor(self, wide: nn.Module, whole: T, parts: Sequence[T]) -> SharedTensor[T]:
        """Return the record of one wide tensor and the models' tensors."""

        def split_by_model(together: Tensor) -> Tensor:
            """Return a view of the fused tensor, `(S, ...)`, with a model's tensor in each part."""
            return together.view(self.num_networks, *parts[0].shape)

        return SharedTensor(whole, tuple(parts), getattr(wide, "split_by_model", split_by_model))


def _widen_layer(one: nn.Module, num_networks: int) -> nn.Module:
    """Return a layer without values that computes `num_networks` layers like `one`."""
    if hasattr(one, "widened"):
        return one.widened(num_networks)  # type: ignore[operator, no-any-return]
    if is_supported_convolution(one):
        return FusedConvolution(one, num_networks)  # type: ignore[arg-type]
    if isinstance(one, nn.Conv2d):
        return _widen_convolution(one, num_networks)
    if type(one) is nn.Linear:
        return FusedLinear(one, num_networks)
    if type(one) is nn.Dropout:
        return FusedDropout(one.p, num_networks)
    if type(one) in CHANNELWISE_LAYERS:
        return copy.deepcopy(one)
    return BatchedLayer(one, num_networks)


def _move_to_device_of(one: nn.Module, wide: nn.Module) -> nn.Module:
    """Return `wide` on the device of `one`, which the layer's own `widened` may not know."""
    state = [*one.parameters(), *one.buffers()]
    return wide.to(state[0].device) if state else wide


def _is_leaf(layer: nn.Module) -> bool:
    """Whether the layer is fused as a whole, not child by child."""
    known = isinstance(layer, nn.Conv2d) or hasattr(layer, "widened")
    return known or not any(True for _ in layer.children())


def _widen_convolution(one: nn.Conv2d, num_networks: int) -> nn.Conv2d:
    """Return a convolution with separate groups of channels for each network.

    A parametrization works by output channel and stays valid.
    """
    wide = copy.deepcopy(one)
    wide.in_channels *= num_networks
    wide.out_channels *= num_networks
    wide.groups *= num_networks
    for parameter in wide.parameters():
        parameter.data = torch.cat([parameter.data] * num_networks)
    return wide
