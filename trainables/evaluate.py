"""Loss and error of a model on the test set, under each kind of test statistics."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from typing import TypeAlias

import torch
import torch.nn.functional as F
from torch import Tensor, nn

import normmods
from trainables.backend import faster_convolutions
from trainables.data.batches import evaluation_batches, training_chunks
from trainables.data.load import Dataset
from trainables.observe import clipped_fraction
from trainables.precision import autocast_forward
from trainables.seeding import derive_stream_seed
from trainables.spec import EvalStatistics, TrainSpec, TrialSpec

LARGE_BATCH = 512
"""Test batch size where results do not depend on the batch."""


PRECISE_EXAMPLES = 10_000
"""Training examples from which `precise` statistics are computed: more examples change them no
further (Wu & Johnson 2021, arXiv 2105.07576, section 3)."""

TOP5_CLASSES = 20
"""Number of classes from which on the top-5 error is reported."""


@dataclass(frozen=True)
class Evaluation:
    """Results of one model on the test set.

    Attributes:
        loss: mean loss in nats.
        error: error in percent.
        top5_error: top-5 error in percent; None for a data set of fewer than 20 classes.
        correct: which test examples were classified correctly, bool `(num_test,)`.
    """

    loss: float
    error: float
    top5_error: float | None
    correct: Tensor


TrialEvaluation: TypeAlias = tuple[Evaluation, dict[str, float]]
"""A trial's evaluation, and the further test metrics that its spec asks for, by name."""


def uses_batch_statistics(model: nn.Module) -> bool:
    """Whether a layer has `eval_statistics = "batch"`: it normalizes by the test batch itself."""
    return "batch" in _statistics_in_use(model)


def uses_precise_statistics(model: nn.Module) -> bool:
    """Whether a layer has `eval_statistics = "precise"`, which must be recomputed before a test."""
    return "precise" in _statistics_in_use(model)


def eval_batch_size(model: nn.Module, spec: TrialSpec) -> int:
    """Return the number of test images in a batch.

    The spec's `eval_batch_size`, if stated; else the training batch size for a model whose results
    depend on the test batch, and `LARGE_BATCH` for any other.
    """
    default = spec.batch_size if uses_batch_statistics(model) else LARGE_BATCH
    return spec.train.eval_batch_size or default


def evaluate_trials(
    model: nn.Module, dataset: Dataset, specs: Sequence[TrialSpec], *, epoch: int
) -> list[TrialEvaluation]:
    """Return each spec's evaluation after an epoch, with the further test metrics that it asks for.

    Args:
        model: the trained model; of several specs, one network that holds theirs side by side in
            the channels (see `trainables.fused`).
        dataset: training and test split.
        specs: they differ in their seed alone.
        epoch: precise statistics are computed from the training batches of this epoch, with the
            same augmentation.
    """
    with autocast_forward(specs[0].train, dataset.test.labels.device):
        return _evaluate_trials(model, dataset, specs, epoch=epoch)


def _evaluate_trials(
    model: nn.Module, dataset: Dataset, specs: Sequence[TrialSpec], *, epoch: int
) -> list[TrialEvaluation]:
    """Evaluate the specs within the precision that the caller has set."""
    spec, num_networks = specs[0], len(specs)
    if uses_precise_statistics(model) or "precise" in requested_eval_statistics(model, spec.train):
        normmods.recompute_precise(model, precise_statistics_batches(dataset, specs, epoch=epoch))
    in_use = _statistics_in_use(model)
    further: list[dict[str, float]] = [{} for _ in specs]
    reads_clipping = "clipped_fraction" in spec.train.extra_metrics and uses_batch_statistics(model)
    with clipped_fraction(model) if reads_clipping else nullcontext() as clipped:
        results = evaluate(
            model, dataset, batch_size=eval_batch_size(model, spec), num_networks=num_networks
        )
    for network, (result, found) in enumerate(zip(results, further, strict=True)):
        if clipped is not None:
            found |= clipped.of_network(network).metrics("test_clipped_fraction")
        if result.top5_error is not None:
            found["test_top5_error"] = result.top5_error
    for statistics in requested_eval_statistics(model, spec.train):
        again = results
        if in_use != {statistics}:
            with normmods.using_eval_statistics(model, statistics):
                size = eval_batch_size(model, spec)
                again = evaluate(model, dataset, batch_size=size, num_networks=num_networks)
        for result, found in zip(again, further, strict=True):
            found[f"test_error_{statistics}"] = result.error
    return list(zip(results, further, strict=True))


def requested_eval_statistics(model: nn.Module, spec: TrainSpec) -> tuple[EvalStatistics, ...]:
    """Return those of the spec's `eval_statistics` that the norms of the model offer."""
    offered = normmods.eval_choices(model)
    return tuple(statistics for statistics in spec.eval_statistics if statistics in offered)


def precise_statistics_batches(
    dataset: Dataset, specs: Sequence[TrialSpec], *, epoch: int
) -> Iterator[Tensor]:
    """Yield the epoch's first `PRECISE_EXAMPLES` training images in large batches `(B, S C, H, W)`.

    The S specs' images, each spec's in its own order, lie side by side in the channels.
    """
    size = min(LARGE_BATCH, len(dataset.train))
    left = PRECISE_EXAMPLES
    chunks = [
        training_chunks(
            dataset,
            batch_size=size,
            augment=spec.data.augment,
            seed=derive_stream_seed(spec),
            epoch=epoch,
        )
        for spec in specs
    ]
    for parts in zip(*chunks, strict=True):
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
    """Return the evaluation of the model, or of each of `num_networks` networks side by side in it.

    Under batch statistics every test batch has `batch_size` examples: the last one is filled
    with examples from the first on, whose second results are not counted.
    """
    model.eval()
    batches = evaluation_batches(
        dataset, batch_size=batch_size, fill_last=uses_batch_statistics(model)
    )
    with faster_convolutions(dataset, batch_size=batch_size, num_networks=num_networks):
        outputs = [model(images.repeat(1, num_networks, 1, 1)) for images in batches]
    logits = torch.cat(outputs)[: len(dataset.test)]
    return [_evaluation(part, dataset) for part in logits.chunk(num_networks, dim=1)]


def _evaluation(logits: Tensor, dataset: Dataset) -> Evaluation:
    """Return loss and errors of the logits `(num_test, K)` on the test split."""
    labels = dataset.test.labels
    loss = F.cross_entropy(logits.double(), labels)
    correct = logits.argmax(1) == labels
    return Evaluation(
        loss=loss.item(),
        error=_mean_percent(~correct),
        top5_error=_top5_error(logits, labels) if dataset.num_classes >= TOP5_CLASSES else None,
        correct=correct,
    )


def _top5_error(logits: Tensor, labels: Tensor) -> float:
    """Return the percentage of examples whose label is not among the five largest logits."""
    first_five = logits.topk(5, dim=1).indices
    return _mean_percent((first_five != labels[:, None]).all(1))


def _mean_percent(share: Tensor) -> float:
    """Return the mean of a bool tensor in percent."""
    return 100 * share.double().mean().item()


def _statistics_in_use(model: nn.Module) -> set[str]:
    """Return the values of `eval_statistics` among the model's layers."""
    found = {getattr(layer, "eval_statistics", None) for layer in model.modules()}
    return {statistics for statistics in found if isinstance(statistics, str)}
