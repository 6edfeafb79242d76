"""Loss and error of a model on the test set, under each way of getting test statistics."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import nullcontext
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

import normmods
from trainables.backend import convolutions_for
from trainables.data.batches import evaluation_batches, training_stretches
from trainables.data.load import Dataset
from trainables.observe import clipping
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
    model: nn.Module, dataset: Dataset, spec: TrialSpec, *, epoch: int
) -> tuple[Evaluation, dict[str, float]]:
    """The trial's evaluation after an epoch, and the further test metrics that its spec asks for.

    Precise statistics are taken from that epoch's training batches, augmented as they were.
    """
    if uses_precise_statistics(model) or "precise" in side_by_side(model, spec.train):
        normmods.recompute_precise(model, large_batches(dataset, spec, epoch=epoch))
    in_use = _statistics_in_use(model)
    further: dict[str, float] = {}
    reads_clipping = "clipped_fraction" in spec.train.extra_metrics and uses_batch_statistics(model)
    with clipping(model) if reads_clipping else nullcontext() as clipped:
        result = evaluate(model, dataset, batch_size=eval_batch_size(model, spec))
    if clipped is not None:
        further |= clipped.metrics("test_clipped_fraction")
    if result.top5_error is not None:
        further["test_top5_error"] = result.top5_error
    for statistics in side_by_side(model, spec.train):
        with normmods.using_eval_statistics(model, statistics):
            same = in_use == {statistics}
            size = eval_batch_size(model, spec)
            again = result if same else evaluate(model, dataset, batch_size=size)
        further[f"test_error_{statistics}"] = again.error
    return result, further


def side_by_side(model: nn.Module, spec: TrainSpec) -> tuple[EvalStatistics, ...]:
    """Of the test statistics that the spec lists, those that the model's norms offer."""
    offered = normmods.eval_choices(model)
    return tuple(statistics for statistics in spec.eval_statistics if statistics in offered)


def large_batches(dataset: Dataset, spec: TrialSpec, *, epoch: int) -> Iterator[Tensor]:
    """The epoch's first `PRECISE_EXAMPLES` training images in large batches `(B, C, H, W)`."""
    size = min(LARGE_BATCH, len(dataset.train))
    left = PRECISE_EXAMPLES
    for images, _ in training_stretches(
        dataset, batch_size=size, augment=spec.data.augment, seed=spec.seed, epoch=epoch
    ):
        for batch in torch.split(images, size):
            if left > 0:
                yield batch
            left -= size
        if left <= 0:
            return


@torch.inference_mode()
def evaluate(model: nn.Module, dataset: Dataset, *, batch_size: int) -> Evaluation:
    """Test the model as it stands.

    Under batch statistics every test batch has `batch_size` examples: the last one is filled
    with examples from the first on, whose second results are not counted.
    """
    model.eval()
    batches = evaluation_batches(
        dataset, batch_size=batch_size, fill_last=uses_batch_statistics(model)
    )
    with convolutions_for(dataset, batch_size=batch_size):
        logits = torch.cat([model(images) for images in batches])[: len(dataset.test)]
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
