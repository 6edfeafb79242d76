"""Whether the seeds of a cell can be trained as one network, found by trying."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import nn

from trainables.data.lookup import dataset_info
from trainables.errors import NotFusable, describe_error
from trainables.feasibility import dry_run_device
from trainables.fused.network import FusedNetwork
from trainables.models.build import build_model, prepare_convolutions
from trainables.models.initialise import set_initial_weights
from trainables.norms import SeededNorms
from trainables.seeding import SeededGlobalRng, generator
from trainables.spec import DataSpec, ModelSpec, TrialSpec, is_custom

NUM_NETWORKS = 2
TOLERANCE = 1e-3
"""Of the outputs' largest value; by rounding alone they differ a thousand times less."""


STAND_IN = ModelSpec(name="resnet8", width=64)
"""Holds a norm to its word, on digits, where the model itself takes too long."""


def require_fusable(spec: TrialSpec) -> None:
    """Raise `NotFusable` unless two networks side by side train, test and say what each says.

    A large model of ours is tried on the meta device, where there are no values to compare, and its
    norm in a small one. Somebody's own model is always held to its values: its `forward` may mix
    channels in ways that no layer shows.
    """
    device = torch.device("cpu") if is_custom(spec.model.name) else dry_run_device(spec)
    _require_the_same(spec, device)
    if device.type == "meta":
        small = replace(spec, data=DataSpec(name="digits"), model=STAND_IN)
        _require_the_same(small, torch.device("cpu"))


def _require_the_same(spec: TrialSpec, device: torch.device) -> None:
    seeds = [replace(spec, seed=spec.seed + n) for n in range(NUM_NETWORKS)]
    apart, copies = ([_model(seed, device) for seed in seeds] for _ in range(2))
    images = _images(spec, device)
    try:
        network = FusedNetwork(copies).model
        found = _said(network, torch.cat(images, 1))
    except NotFusable:
        raise
    except Exception as error:
        raise NotFusable(f"side by side the networks fail: {describe_error(error)}") from error
    if device.type == "meta":
        return
    alone = [_said(model, x) for model, x in zip(apart, images, strict=True)]
    for what in ("trained", "tested"):
        expected = torch.cat([said[what] for said in alone], 1)
        largest = float((found[what] - expected).abs().max() / expected.abs().max())
        if not largest <= TOLERANCE:
            raise NotFusable(
                f"side by side the networks say something else when {what}: "
                f"by {largest:.1g} of the largest output"
            )


def _said(model: nn.Module, images: torch.Tensor) -> dict[str, torch.Tensor]:
    """What a model says in training, where gradients must reach it too, and then in a test."""
    output = model.train()(images)
    output.sum().backward()
    with torch.no_grad():
        return {"trained": output.detach(), "tested": model.eval()(images)}


@torch.no_grad()
def _model(spec: TrialSpec, device: torch.device) -> nn.Module:
    """The trial's model, without dropout, and with no parameter at the value that it begins with.

    What is drawn at random cannot be compared, and a gain of one hides which channel it is for.
    """
    data = dataset_info(spec.data)
    norms = SeededNorms(spec.norm, seed=spec.seed)
    with SeededGlobalRng(spec.seed, "init"), device:
        model = build_model(
            spec.model, in_channels=data.shape[0], num_classes=data.num_classes, norm=norms
        )
    for layer in model.modules():
        if isinstance(layer, nn.Dropout):
            layer.p = 0.0
    if device.type != "meta":
        set_initial_weights(spec.model, model, norms=norms.built, seed=spec.seed)
        stream = generator(spec.seed, "norm", "probe")
        for parameter in model.parameters():
            parameter.add_(0.1 * torch.randn(parameter.shape, generator=stream))
    prepare_convolutions(model, data.shape)
    return model


def _images(spec: TrialSpec, device: torch.device) -> list[torch.Tensor]:
    shape = (spec.batch_size, *dataset_info(spec.data).shape)
    if device.type == "meta":
        return [torch.empty(shape, device=device)] * NUM_NETWORKS
    stream = generator(spec.seed, "norm", "probe")
    return [torch.randn(shape, generator=stream) for _ in range(NUM_NETWORKS)]
