"""The optimizer, and the learning rate of each epoch."""

from __future__ import annotations

import math
from collections.abc import Iterable

import torch
from torch import nn

from trainables.spec import OptimizerSpec, TrialSpec


def build_optimizer(
    model: nn.Module, spec: OptimizerSpec, *, norms: Iterable[nn.Module]
) -> torch.optim.Optimizer:
    """SGD as torch defines it, over all parameters of the model.

    With `decay_norm_and_bias` false, parameters of `norms` and biases have no weight decay.
    """
    in_norms = {id(parameter) for norm in norms for parameter in norm.parameters()}
    decayed: list[nn.Parameter] = []
    spared: list[nn.Parameter] = []
    for path, parameter in model.named_parameters():
        is_bias = path.rpartition(".")[2] == "bias"
        spare = not spec.decay_norm_and_bias and (is_bias or id(parameter) in in_norms)
        (spared if spare else decayed).append(parameter)
    groups = [{"params": decayed, "weight_decay": spec.weight_decay}]
    if spared:
        groups.append({"params": spared, "weight_decay": 0.0})
    return torch.optim.SGD(
        groups, lr=spec.lr, momentum=spec.momentum, nesterov=spec.nesterov, fused=True
    )


def lr_for(spec: TrialSpec, epoch: int) -> float:
    """The learning rate of an epoch, counted from 1, after `lr_scaling`.

    `multistep` drops after a milestone: with milestones 150 and 250, epochs 1 to 150 run at lr,
    151 to 250 at lr gamma. `cosine` falls from lr in epoch 1 to what would be 0 after the last.
    """
    return spec.train.optimizer.lr * _scale(spec) * _decay(spec, epoch)


def _scale(spec: TrialSpec) -> float:
    scaling, reference = spec.train.lr_scaling, spec.train.reference_batch_size
    if scaling == "none":
        return 1.0
    if reference is None:
        raise ValueError(
            f"`lr_scaling={scaling}` needs reference_batch_size, the batch size at which lr holds"
        )
    ratio = spec.batch_size / reference
    return ratio if scaling == "linear" else math.sqrt(ratio)


def _decay(spec: TrialSpec, epoch: int) -> float:
    schedule = spec.train.schedule
    if schedule.name == "multistep":
        return float(schedule.gamma ** sum(epoch > milestone for milestone in schedule.milestones))
    if schedule.name == "cosine":
        return (1 + math.cos(math.pi * (epoch - 1) / spec.train.epochs)) / 2
    return 1.0
