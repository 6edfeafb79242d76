"""The check that the seeds of a cell can be trained as one network, made by running them."""

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
from trainables.seeding import SeededGlobalRng, derive_stream_seed, seeded_generator
from trainables.spec import DataSpec, ModelSpec, TrialSpec, is_custom

NUM_NETWORKS = 2
"""Networks that are fused for the check."""

TOLERANCE = 1e-3
"""Largest difference as a share of the largest output; rounding makes a thousandth of it."""


SMALL_MODEL = ModelSpec(name="resnet8", width=64)
"""The model in which a norm is checked, on digits, where the spec's model takes too long."""


def require_fusable(spec: TrialSpec) -> None:
    """Raise `NotFusable` unless two fused networks have the outputs of the two separate ones.

    The outputs are compared in training and in test mode. A large built-in model is run on the meta
    device, where there are no values to compare, and its norm is checked in a small model. A custom
    model is always compared by values: its `forward` may mix channels in ways that no layer shows.
    """
    device = torch.device("cpu") if is_custom(spec.model.name) else dry_run_device(spec)
    _require_equal_outputs(spec, device)
    if device.type == "meta":
        small = replace(spec, data=DataSpec(name="digits"), model=SMALL_MODEL)
        _require_equal_outputs(small, torch.device("cpu"))


def _require_equal_outputs(spec: TrialSpec, device: torch.device) -> None:
    """Raise `NotFusable` unless fused and separate networks agree within `TOLERANCE`.

    On the meta device, which has no values, only require that the fused network runs.
    """
    seeds = [replace(spec, seed=spec.seed + n) for n in range(NUM_NETWORKS)]
    singles, copies = ([_build_perturbed_model(seed, device) for seed in seeds] for _ in range(2))
    images = _random_images(spec, device)
    try:
        network = FusedNetwork(copies).model
        found = _train_and_test_outputs(network, torch.cat(images, 1))
    except NotFusable:
        raise
    except Exception as error:
        raise NotFusable(f"side by side the networks fail: {describe_error(error)}") from error
    if device.type == "meta":
        return
    single_outputs = [
        _train_and_test_outputs(model, x) for model, x in zip(singles, images, strict=True)
    ]
    for what in ("trained", "tested"):
        expected = torch.cat([outputs[what] for outputs in single_outputs], 1)
        largest = float((found[what] - expected).abs().max() / expected.abs().max())
        if not largest <= TOLERANCE:
            raise NotFusable(
                f"side by side the networks say something else when {what}: "
                f"by {largest:.1g} of the largest output"
            )


def _train_and_test_outputs(model: nn.Module, images: torch.Tensor) -> dict[str, torch.Tensor]:
    """Return a model's outputs in training mode, after a backward pass, and in test mode."""
    output = model.train()(images)
    output.sum().backward()
    with torch.no_grad():
        return {"trained": output.detach(), "tested": model.eval()(images)}


@torch.no_grad()
def _build_perturbed_model(spec: TrialSpec, device: torch.device) -> nn.Module:
    """Return the trial's model without dropout and with random additions to all parameters.

    Random draws cannot be compared, and a gain of 1 would hide which channel it belongs to.
    """
    data = dataset_info(spec.data)
    seed = derive_stream_seed(spec)
    norms = SeededNorms(spec.norm, seed=seed)
    with SeededGlobalRng(seed, "init"), device:
        model = build_model(
            spec.model, in_channels=data.shape[0], num_classes=data.num_classes, norm=norms
        )
    for layer in model.modules():
        if isinstance(layer, nn.Dropout):
            layer.p = 0.0
    if device.type != "meta":
        set_initial_weights(spec.model, model, norms=norms.built, seed=seed)
        stream = seeded_generator(seed, "norm", "probe")
        for parameter in model.parameters():
            parameter.add_(0.1 * torch.randn(parameter.shape, generator=stream))
    prepare_convolutions(model, data.shape)
    return model


def _random_images(spec: TrialSpec, device: torch.device) -> list[torch.Tensor]:
    """Return a batch of random images for each network; without values on the meta device."""
    shape = (spec.batch_size, *dataset_info(spec.data).shape)
    if device.type == "meta":
        return [torch.empty(shape, device=device)] * NUM_NETWORKS
    stream = seeded_generator(derive_stream_seed(spec), "norm", "probe")
    return [torch.randn(shape, generator=stream) for _ in range(NUM_NETWORKS)]
