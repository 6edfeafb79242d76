"""Test loss and error of a model in evaluation mode."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn

from trainables.backend import convolutions_for
from trainables.data.batches import evaluation_batches
from trainables.data.load import Dataset

LARGE_BATCH = 512


def uses_batch_statistics(model: nn.Module) -> bool:
    """Whether a layer says `eval_statistics = "batch"`: it normalises by the test batch itself."""
    return any(getattr(layer, "eval_statistics", None) == "batch" for layer in model.modules())


def eval_batch_size(model: nn.Module, training_batch_size: int) -> int:
    """The training batch size where results depend on the test batch, else a large one."""
    return training_batch_size if uses_batch_statistics(model) else LARGE_BATCH


@torch.inference_mode()
def evaluate(
    model: nn.Module, dataset: Dataset, *, training_batch_size: int
) -> tuple[float, float]:
    """Mean loss in nats and error in percent over all test examples.

    Under batch statistics every test batch has the training batch's size: the last one is
    filled with examples from the first on, whose second results are not counted.
    """
    model.eval()
    batch_size = eval_batch_size(model, training_batch_size)
    batches = evaluation_batches(
        dataset, batch_size=batch_size, fill_last=uses_batch_statistics(model)
    )
    with convolutions_for(dataset, batch_size=batch_size):
        logits = torch.cat([model(images) for images in batches])[: len(dataset.test)]
    labels = dataset.test.labels
    loss = F.cross_entropy(logits.double(), labels)
    error = (logits.argmax(1) != labels).double().mean()
    return loss.item(), 100 * error.item()
