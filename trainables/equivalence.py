"""Keys by which two specs with different names are recognised as the same computation."""

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
from trainables.models.catalog import complete_model_spec
from trainables.models.layers import build_activation_after, build_conv
from trainables.norms import SeededNorms
from trainables.optim import learning_rate_at
from trainables.seeding import SeededGlobalRng
from trainables.spec import DataSpec, ModelSpec, NormSpec, ScheduleSpec, TrialSpec, is_custom

MAP_SIZE = 3
"""Height and width of the maps on which layers are compared."""


EVALUATION_OPTIONS: Mapping[str, frozenset[str]] = MappingProxyType(
    {
        **dict.fromkeys(
            ("batchnorm", "ghostbatchnorm", "evonorm_b0", "switchablenorm"),
            frozenset({"momentum", "eval_statistics"}),
        ),
        **dict.fromkeys(("batchrenorm", "renorm_debias"), frozenset({"eval_statistics"})),
    }
)
"""Options by norm that affect evaluation alone: no weight and no gradient of training depends on
the momentum of averages that training does not use, or on which statistics the tests use."""


def training_norm_key(norm: NormSpec) -> Hashable:
    """Return a key of the norm's name and of its options that training uses.

    Two norms with equal keys train to the same parameters, bit by bit, if the `setup_key`s agree.
    """
    ignored = EVALUATION_OPTIONS.get(norm.name, frozenset())
    return norm.name, tuple(sorted((k, v) for k, v in norm.options.items() if k not in ignored))


def setup_key(spec: TrialSpec) -> Hashable:
    """Return a key of everything in a trial but its norm, with equivalent settings made equal.

    Learning rates count as the rate of each epoch, batch sizes as examples of an optimizer step.
    """
    train = replace(
        spec.train,
        optimizer=replace(spec.train.optimizer, lr=1.0),
        schedule=ScheduleSpec(),
        lr_scaling="none",
        reference_batch_size=None,
        optimizer_batch_size=spec.optimizer_batch_size,
    )
    rates = tuple(learning_rate_at(spec, epoch) for epoch in range(1, spec.train.epochs + 1))
    seeds = (spec.seed, spec.seeding)
    return spec.batch_size, seeds, spec.data, complete_model_spec(spec.model), train, rates


def norm_layers_key(spec: TrialSpec) -> Hashable:
    """Return a key of what the norm's layers compute in the spec's model.

    A layer without buffers is represented by its parameters and its output for a random input, to
    the bit: GroupNorm of one channel a group is InstanceNorm. A layer with buffers, which may take
    many steps to show a difference, is represented by its name and options; so is a custom layer,
    which may count its calls or exclude parameters from training.
    """
    stated = (spec.norm.name, tuple(sorted(spec.norm.options.items(), key=str)))
    if is_custom(spec.norm.name):
        return stated
    try:
        found = [
            _digest_layer(spec.norm, place, spec.batch_size)
            for place in _find_norm_places(complete_model_spec(spec.model), spec.data)
        ]
    except Exception:  # a layer may refuse the small map, or the CPU
        return stated
    return stated if None in found else tuple(found)


class _NormPlace(NamedTuple):
    """A place of a norm in a model: its number of channels, and whether an activation follows."""

    num_channels: int
    has_activation: bool


class _PlaceRecorder:
    """A norm factory that builds identities and records the places for which it was called."""

    def __init__(self) -> None:
        self.places: set[_NormPlace] = set()

    def __call__(self, num_channels: int) -> nn.Module:
        self.places.add(_NormPlace(num_channels, has_activation=True))
        return nn.Identity()

    def without_activation(self, num_channels: int) -> nn.Module:
        """Record a place that no activation follows, and return an identity."""
        self.places.add(_NormPlace(num_channels, has_activation=False))
        return nn.Identity()


@lru_cache
def _find_norm_places(model: ModelSpec, data: DataSpec) -> tuple[_NormPlace, ...]:
    """Return the distinct places of norms in the model, sorted."""
    info = dataset_info(data)
    recorder = _PlaceRecorder()
    with torch.device("meta"):
        build_model(model, in_channels=info.shape[0], num_classes=info.num_classes, norm=recorder)
    return tuple(sorted(recorder.places))


def _digest_layer(norm: NormSpec, place: _NormPlace, batch_size: int) -> str | None:
    """Return a digest of the layer's outputs and gradients between a convolution and an activation.

    Returns None for a layer with buffers.
    """
    norms, channels = SeededNorms(norm, seed=0), place.num_channels
    layer = norms(channels) if place.has_activation else norms.without_activation(channels)
    if any(True for _ in layer.buffers()):
        return None
    digest = hashlib.sha256()
    with SeededGlobalRng(0, "norm", "coincidence"):
        model = nn.Sequential(build_conv(3, channels, 1), layer, build_activation_after(layer))
        normmods.prepare(model)
        for name, parameter in layer.named_parameters():
            _add_tensor(digest, name, parameter)
            nn.init.normal_(parameter)
        x = torch.randn(batch_size, 3, MAP_SIZE, MAP_SIZE, requires_grad=True)
        for mode in (True, False):
            y = model.train(mode)(x)
            _add_tensor(digest, "y", y)
            _add_tensor(digest, "x", torch.autograd.grad(y.square().sum(), x)[0])
    return digest.hexdigest()


def _add_tensor(digest: Any, name: str, value: Tensor) -> None:
    """Add the name, the shape and the float32 values of a tensor to the digest."""
    digest.update(f"{name}{tuple(value.shape)}".encode())
    digest.update(value.detach().float().numpy().tobytes())
