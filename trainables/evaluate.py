"""Loss and error of a model on the test set, under each way of getting test statistics."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from typing import TypeAlias

import torch
import torch.nn.functional as F
from torch import Tensor, nn

import normmods
from trainables.backend import convolutions_for
from trainables.data.batches import evaluation_batches, training_chunks
from trainables.data.load import Dataset
from trainables.observe import clipped_fraction
from trainables.precision import autocast_forward
from trainables.spec import EvalStatistics, TrainSpec, TrialSpec

LARGE_BATCH = 512

PRECISE_EXAMPLES = 10_000
"""Training examples from which `precise` statistics are taken: more change them no further (Wu &
Johnson 2021, arXiv 2105.07576, section 3)."""

TOP5_CLASSES = 20
"""Classes from which on the top-5 error says something."""


@dataclass(frozen=True)
class Evaluation:
    """Mean loss in nats, errors in percent, and which test examples were right, `(num_test,)`.

    `top5_error` is None for a data set of fewer than 20 classes.
    """

    loss: float
    error: float
    top5_error: float | None
    correct: Tensor


Assessment: TypeAlias = tuple[Evaluation, dict[str, float]]
"""A test of a model, and the further metrics of its spec by their names."""


def uses_batch_statistics(model: nn.Module) -> bool:
    """Whether a layer says `eval_statistics = "batch"`: it normalises by the test batch itself."""
    return "batch" in _statistics_in_use(model)


def uses_precise_statistics(model: nn.Module) -> bool:
    """Whether a layer says `eval_statistics = "precise"`: they must be recomputed before a test."""
    return "precise" in _statistics_in_use(model)


def eval_batch_size(model: nn.Module, spec: TrialSpec) -> int:
    """What the spec says; else the training batch size where results depend on the test batch."""
    default = spec.batch_size if uses_batch_statistics(model) else LARGE_BATCH
    return spec.train.eval_batch_size or default


def assess(
    model: nn.Module, dataset: Dataset, specs: Sequence[TrialSpec], *, epoch: int
) -> list[Assessment]:
    """Each spec's evaluation after an epoch, and the further test metrics that it asks for.

    The specs differ in their seed alone, and `model` holds their networks side by side (see
    `trainables.fused`); of one spec it is the model itself. Precise statistics are taken from
    that epoch's training batches, augmented as they were.
    """
    with autocast_forward(specs[0].train, dataset.test.labels.device):
        return _assess(model, dataset, specs, epoch=epoch)


def _assess(
    model: nn.Module, dataset: Dataset, specs: Sequence[TrialSpec], *, epoch: int
) -> list[Assessment]:
    spec, num_networks = specs[0], len(specs)
    if uses_precise_statistics(model) or "precise" in side_by_side(model, spec.train):
        normmods.recompute_precise(model, large_batches(dataset, specs, epoch=epoch))
    in_use = _statistics_in_use(model)
    further: list[dict[str, float]] = [{} for _ in specs]
    reads_clipping = "clipped_fraction" in spec.train.extra_metrics and uses_batch_statistics(model)
    with clipped_fraction(model) if reads_clipping else nullcontext() as clipped:
        results = evaluate(
            model, dataset, batch_size=eval_batch_size(model, spec), num_networks=num_networks
        )
    for network, (result, found) in enumerate(zip(results, further, strict=True)):
        if clipped is not None:
            found |= clipped.of(network).metrics("test_clipped_fraction")
        if result.top5_error is not None:
            found["test_top5_error"] = result.top5_error
    for statistics in side_by_side(model, spec.train):
        again = results
        if in_use != {statistics}:
            with normmods.using_eval_statistics(model, statistics):
                size = eval_batch_size(model, spec)
                again = evaluate(model, dataset, batch_size=size, num_networks=num_networks)
        for result, found in zip(again, further, strict=True):
            found[f"test_error_{statistics}"] = result.error
    return list(zip(results, further, strict=True))


def side_by_side(model: nn.Module, spec: TrainSpec) -> tuple[EvalStatistics, ...]:
    """Of the test statistics that the spec lists, those that the model's norms offer."""
    offered = normmods.eval_choices(model)
    return tuple(statistics for statistics in spec.eval_statistics if statistics in offered)


def large_batches(dataset: Dataset, specs: Sequence[TrialSpec], *, epoch: int) -> Iterator[Tensor]:
    """The epoch's first `PRECISE_EXAMPLES` training images in large batches `(B, S C, H, W)`.

    Each spec's own images in its own order, side by side in the channels.
    """
    size = min(LARGE_BATCH, len(dataset.train))
    left = PRECISE_EXAMPLES
    stretches = [
        training_chunks(
            dataset, batch_size=size, augment=spec.data.augment, seed=spec.seed, epoch=epoch
        )
        for spec in specs
    ]
    for parts in zip(*stretches, strict=True):
        for batch in torch.split(torch.cat([images for images, _ in parts], 1), size):
            if left > 0:
                yield batch
            left -= size
        if left <= 0:
            return


@torch.inference_mode()
def evaluate(
    model: nn.Module, dataset: Dataset, *, batch_size: int, num_networks: int = 1
) -> list[Evaluation]:
    """Test the model, or the networks that it holds side by side, as they stand.

    Under batch statistics every test batch has `batch_size` examples: the last one is filled
    with examples from the first on, whose second results are not counted.
    """
    model.eval()
    batches = evaluation_batches(
        dataset, batch_size=batch_size, fill_last=uses_batch_statistics(model)
    )
    with convolutions_for(dataset, batch_size=batch_size, num_networks=num_networks):
        outputs = [model(images.repeat(1, num_networks, 1, 1)) for images in batches]
    logits = torch.cat(outputs)[: len(dataset.test)]
    return [_evaluation(part, dataset) for part in logits.chunk(num_networks, dim=1)]


def _evaluation(logits: Tensor, dataset: Dataset) -> Evaluation:
    labels = dataset.test.labels
    loss = F.cross_entropy(logits.double(), labels)
    correct = logits.argmax(1) == labels
    return Evaluation(
        loss=loss.item(),
        error=_percent(~correct),
        top5_error=_top5_error(logits, labels) if dataset.num_classes >= TOP5_CLASSES else None,
        correct=correct,
    )


def _top5_error(logits: Tensor, labels: Tensor) -> float:
    first_five = logits.topk(5, dim=1).indices
    return _percent((first_five != labels[:, None]).all(1))


def _percent(share: Tensor) -> float:
    return 100 * share.double().mean().item()


def _statistics_in_use(model: nn.Module) -> set[str]:
    found = {getattr(layer, "eval_statistics", None) for layer in model.modules()}
    return {statistics for statistics in found if isinstance(statistics, str)}
