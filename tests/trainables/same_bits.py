"""Whether two trials have done the same, to the bit."""

import dataclasses

import torch
from torch import Tensor

from trainables import EpochMetrics, Trial


def without_times(metrics: EpochMetrics) -> EpochMetrics:
    untimed = {key: value for key, value in metrics.extra.items() if not key.startswith("seconds")}
    return dataclasses.replace(metrics, train_s=0, eval_s=0, extra=untimed)


def finish(trial: Trial) -> tuple[list[EpochMetrics], dict[str, Tensor]]:
    epochs = []
    while not trial.finished:
        epochs.append(without_times(trial.run_epoch()))
    return epochs, trial.model.state_dict()


def assert_same_bits(found: dict[str, Tensor], expected: dict[str, Tensor]) -> None:
    assert found.keys() == expected.keys()
    for key, value in expected.items():
        assert torch.equal(found[key], value), key
