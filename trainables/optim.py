"""The optimizer, and the learning rate of each epoch."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Any

import torch
from torch import nn
from torch.optim.sgd import sgd

from trainables.spec import OptimizerSpec, TrialSpec


class Sgd:
    """SGD by torch's own function, over all parameters of a model.

    `torch.optim.SGD` wraps the same function. Its first use imports torch's compiler, which
    takes longer than a small trial and makes all that Python calls thereafter slower: together
    a seventh of a step at batch size 2.

    Args:
        model: the model whose parameters are trained.
        spec: momentum and weight decay.
        norms: the model's norms; with `decay_norm_and_bias` false their parameters, and every
            bias, have no weight decay.
    """

    def __init__(
        self, model: nn.Module, spec: OptimizerSpec, *, norms: Iterable[nn.Module]
    ) -> None:
        self.spec = spec
        in_norms = {id(parameter) for norm in norms for parameter in norm.parameters()}
        decayed: list[nn.Parameter] = []
        spared: list[nn.Parameter] = []
        for path, parameter in model.named_parameters():
            is_bias = path.rpartition(".")[2] == "bias"
            spare = not spec.decay_norm_and_bias and (is_bias or id(parameter) in in_norms)
            (spared if spare else decayed).append(parameter)
        self.groups = ((decayed, spec.weight_decay), (spared, 0.0))
        # Zero velocities make a first step like torch's, which begins with the gradient.
        self.velocities = {parameter: torch.zeros_like(parameter) for parameter in decayed + spared}

    @torch.no_grad()
    def step(self, lr: float | torch.Tensor) -> None:
        """Update every parameter that has a gradient, and drop the gradients.

        A learning rate given as a float32 tensor stays on its device, as a CUDA graph needs.
        """
        for group, weight_decay in self.groups:
            moved = [parameter for parameter in group if parameter.grad is not None]
            sgd(
                moved,  # type: ignore[arg-type]
                [parameter.grad for parameter in moved],  # type: ignore[misc]
                [self.velocities[parameter] for parameter in moved],
                fused=True,
                lr=lr,
                momentum=self.spec.momentum,
                nesterov=self.spec.nesterov,
                weight_decay=weight_decay,
                dampening=0.0,
                maximize=False,
            )
            for parameter in moved:
                parameter.grad = None

    def state_dict(self) -> dict[str, Any]:
        """Return the velocities, in the order of the parameters."""
        return {"velocities": list(self.velocities.values())}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Continue with the velocities of `state_dict`, copied from any device."""
        for velocity, saved in zip(self.velocities.values(), state["velocities"], strict=True):
            velocity.copy_(saved)


def learning_rate_at(spec: TrialSpec, epoch: int) -> float:
    """Return the learning rate of an epoch, counted from 1, after `lr_scaling`.

    `multistep` drops after a milestone: with milestones 150 and 250, epochs 1 to 150 run at lr,
    151 to 250 at lr gamma. `cosine` falls from lr in epoch 1 to what would be 0 after the last.
    """
    return spec.train.optimizer.lr * _lr_scaling_factor(spec) * _schedule_factor(spec, epoch)


def _lr_scaling_factor(spec: TrialSpec) -> float:
    """Return the factor by which `lr_scaling` multiplies the learning rate."""
    scaling, reference = spec.train.lr_scaling, spec.train.reference_batch_size
    if scaling == "none":
        return 1.0
    if reference is None:
        raise ValueError(
            f"`lr_scaling={scaling}` needs reference_batch_size, the batch size at which lr holds"
        )
    ratio = spec.optimizer_batch_size / reference
    return ratio if scaling == "linear" else math.sqrt(ratio)


def _schedule_factor(spec: TrialSpec, epoch: int) -> float:
    """Return the factor by which the schedule multiplies the learning rate in an epoch."""
    schedule = spec.train.schedule
    if schedule.name == "multistep":
        return float(schedule.gamma ** sum(epoch > milestone for milestone in schedule.milestones))
    if schedule.name == "cosine":
        return (1 + math.cos(math.pi * (epoch - 1) / spec.train.epochs)) / 2
    return 1.0
