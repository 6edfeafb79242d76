"""Whether two specs are one computation under two names."""

from __future__ import annotations

import hashlib
from collections.abc import Hashable, Mapping
from dataclasses import replace
from functools import lru_cache
from types import MappingProxyType
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

import normmods
from trainables.data.lookup import dataset_info
from trainables.models.build import build_model
from trainables.models.catalog import with_defaults
from trainables.models.layers import activation_after, conv
from trainables.norms import SeededNorms
from trainables.optim import lr_for
from trainables.seeding import SeededGlobalRng
from trainables.spec import DataSpec, ModelSpec, NormSpec, ScheduleSpec, TrialSpec, is_custom

MAP = 3
"""Height and width of the maps on which layers are compared."""


ONLY_IN_TESTS: Mapping[str, frozenset[str]] = MappingProxyType(
    {
        **dict.fromkeys(
            ("batchnorm", "ghostbatchnorm", "evonorm_b0", "switchablenorm"),
            frozenset({"momentum", "eval_statistics"}),
        ),
        **dict.fromkeys(("batchrenorm", "renorm_debias"), frozenset({"eval_statistics"})),
    }
)
"""Options of norms that no weight and no gradient depends on: moving averages of which training
makes no use, and which statistics the tests take."""


def training_options(norm: NormSpec) -> Hashable:
    """What of a norm training depends on: its name, and the options that act in training.

    Norms of which it is equal train to the same parameters, bit by bit, in equal frames.
    """
    ignored = ONLY_IN_TESTS.get(norm.name, frozenset())
    return norm.name, tuple(sorted((k, v) for k, v in norm.options.items() if k not in ignored))


def frame(spec: TrialSpec) -> Hashable:
    """All of a trial but its norm, as it turns out: rates by epoch, examples an optimizer step."""
    train = replace(
        spec.train,
        optimizer=replace(spec.train.optimizer, lr=1.0),
        schedule=ScheduleSpec(),
        lr_scaling="none",
        reference_batch_size=None,
        optimizer_batch_size=spec.optimizer_batch_size,
    )
    rates = tuple(lr_for(spec, epoch) for epoch in range(1, spec.train.epochs + 1))
    return spec.batch_size, spec.seed, spec.data, with_defaults(spec.model), train, rates


def layers(spec: TrialSpec) -> Hashable:
    """What the norm's layers compute in the spec's model.

    A layer without state is known by its parameters and by what it makes of a random input, to
    the bit: GroupNorm of one channel a group is InstanceNorm. One with state, which may take
    long to show a difference, is known by its name and options, and so is a user's own, which may
    count its calls, or keep its parameters from being learnt.
    """
    stated = (spec.norm.name, tuple(sorted(spec.norm.options.items(), key=str)))
    if is_custom(spec.norm.name):
        return stated
    try:
        found = [
            _digest(spec.norm, place, spec.batch_size)
            for place in _places(with_defaults(spec.model), spec.data)
        ]
    except Exception:  # a layer may refuse the small map, or the CPU
        return stated
    return stated if None in found else tuple(found)


class _Place(NamedTuple):
    """Where a model has a norm: over how many channels, and whether an activation follows."""

    num_channels: int
    has_activation: bool


class _Noted:
    """A norm factory that builds nothing, and notes the places."""

    def __init__(self) -> None:
        self.places: set[_Place] = set()

    def __call__(self, num_channels: int) -> nn.Module:
        self.places.add(_Place(num_channels, has_activation=True))
        return nn.Identity()

    def without_activation(self, num_channels: int) -> nn.Module:
        self.places.add(_Place(num_channels, has_activation=False))
        return nn.Identity()


@lru_cache
def _places(model: ModelSpec, data: DataSpec) -> tuple[_Place, ...]:
    """Each place of a norm that differs from the others in the model."""
    info = dataset_info(data)
    noted = _Noted()
    with torch.device("meta"):
        build_model(model, in_channels=info.shape[0], num_classes=info.num_classes, norm=noted)
    return tuple(sorted(noted.places))


def _digest(norm: NormSpec, place: _Place, batch_size: int) -> str | None:
    """A layer after a convolution and before its activation, as bits; None if it has a state."""
    norms, channels = SeededNorms(norm, seed=0), place.num_channels
    layer = norms(channels) if place.has_activation else norms.without_activation(channels)
    if any(True for _ in layer.buffers()):
        return None
    digest = hashlib.sha256()
    with SeededGlobalRng(0, "norm", "coincidence"):
        model = nn.Sequential(conv(3, channels, 1), layer, activation_after(layer))
        normmods.prepare(model)
        for name, parameter in layer.named_parameters():
            _add(digest, name, parameter)
            nn.init.normal_(parameter)
        x = torch.randn(batch_size, 3, MAP, MAP, requires_grad=True)
        for mode in (True, False):
            y = model.train(mode)(x)
            _add(digest, "y", y)
            _add(digest, "x", torch.autograd.grad(y.square().sum(), x)[0])
    return digest.hexdigest()


def _add(digest: Any, name: str, value: Tensor) -> None:
    digest.update(f"{name}{tuple(value.shape)}".encode())
    digest.update(value.detach().float().numpy().tobytes())
