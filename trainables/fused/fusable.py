"""Whether the seeds of a cell can be trained as one network, found by trying."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import nn

import normmods
from trainables.data.catalog import dataset_info
from trainables.errors import NotFusable, reason
from trainables.feasibility import dry_run_device
from trainables.fused.network import FusedNetwork
from trainables.models.build import build_model
from trainables.models.catalog import with_defaults
from trainables.models.initialise import initialise
from trainables.norms import SeededNorms
from trainables.seeding import GlobalStream, generator
from trainables.spec import TrialSpec

NUM_NETWORKS = 2
TOLERANCE = 1e-3
"""Of the outputs' largest value; by rounding alone they differ a thousand times less."""


def require_fusable(spec: TrialSpec) -> None:
    """Raise `NotFusable` unless two networks side by side train, test and say what each says.

    A large model is tried on the meta device, where there are no values to compare.
    """
    device = dry_run_device(spec)
    apart = [_model(replace(spec, seed=spec.seed + n), device) for n in range(NUM_NETWORKS)]
    copies = [_model(replace(spec, seed=spec.seed + n), device) for n in range(NUM_NETWORKS)]
    images = _images(spec, device)
    streams = [generator(spec.seed, "dropout", "probe", n) for n in range(NUM_NETWORKS)]
    try:
        network = FusedNetwork(copies)
        network.draw_from(streams)
        output = network.model(torch.cat(images, 1))
        output.sum().backward()
        with torch.no_grad():
            tested = network.model.eval()(torch.cat(images, 1))
    except NotFusable:
        raise
    except Exception as error:
        raise NotFusable(f"side by side the networks fail: {reason(error)}") from error
    if device.type == "meta" or with_defaults(spec.model).dropout:
        return
    with torch.no_grad():
        expected = torch.cat([m.train()(x) for m, x in zip(apart, images, strict=True)], 1)
        alone = torch.cat([m.eval()(x) for m, x in zip(apart, images, strict=True)], 1)
    for what, found, one in (("trained", output.detach(), expected), ("tested", tested, alone)):
        largest = float((found - one).abs().max() / one.abs().max())
        if not largest <= TOLERANCE:
            raise NotFusable(
                f"side by side the networks say something else when {what}: "
                f"by {largest:.1g} of the largest output"
            )


def _model(spec: TrialSpec, device: torch.device) -> nn.Module:
    data = dataset_info(spec.data)
    norms = SeededNorms(spec.norm, seed=spec.seed)
    with GlobalStream(spec.seed, "init"), device:
        model = build_model(
            spec.model, in_channels=data.shape[0], num_classes=data.num_classes, norm=norms
        )
    if device.type != "meta":
        initialise(model, norms=norms.built, seed=spec.seed)
    return normmods.prepare(model).train()


def _images(spec: TrialSpec, device: torch.device) -> list[torch.Tensor]:
    shape = (spec.batch_size, *dataset_info(spec.data).shape)
    if device.type == "meta":
        return [torch.empty(shape, device=device)] * NUM_NETWORKS
    stream = generator(spec.seed, "norm", "probe")
    return [torch.randn(shape, generator=stream) for _ in range(NUM_NETWORKS)]
