"""The definitions in NumPy and float64, written down again from the papers, for the tests."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


def per_channel(values: Array) -> Array:
    return values[..., None, None]


def group_moments(x: Array, num_groups: int) -> tuple[Array, Array]:
    """Mean and biased variance per example and group, (B, N) each."""
    grouped = x.reshape(x.shape[0], num_groups, -1)
    mean = grouped.mean(-1)
    return mean, ((grouped - mean[..., None]) ** 2).mean(-1)


def group_standardised(x: Array, num_groups: int, eps: float = 1e-5) -> Array:
    mean, var = group_moments(x, num_groups)
    repeats = x.shape[1] // num_groups
    centred = x - per_channel(mean.repeat(repeats, 1))
    return centred / np.sqrt(per_channel(var.repeat(repeats, 1)) + eps)


def batch_moments(x: Array) -> tuple[Array, Array]:
    """Mean and biased variance per channel, (C,) each."""
    by_channel = np.moveaxis(x, 1, 0).reshape(x.shape[1], -1)
    mean = by_channel.mean(1)
    return mean, ((by_channel - mean[:, None]) ** 2).mean(1)


def sigmoid(z: Array) -> Array:
    return 1 / (1 + np.exp(-z))


def associate(
    x: Array,
    encoder: Array,
    weight_decoder: Array,
    bias_decoder: Array,
    weight: Array | None,
    bias: Array | None,
    *,
    entry: str = "after",
    swapped: bool = False,
    eps: float = 1e-5,
) -> Array:
    """AssocNorm example by example, with explicit loops over examples."""
    batch, channels = x.shape[:2]
    num_groups = encoder.shape[1]
    mean, var = group_moments(x, num_groups)
    standardised = group_standardised(x, num_groups, eps)
    y = np.empty_like(x)
    for i in range(batch):
        keys = (var[i], mean[i]) if swapped else (mean[i], var[i])
        z_w = weight_decoder @ np.maximum(encoder @ keys[0], 0)
        z_b = bias_decoder @ np.maximum(encoder @ keys[1], 0)
        z_w, z_b = (z.repeat(channels // num_groups) for z in (z_w, z_b))
        if entry == "none":
            w, b = sigmoid(z_w), np.tanh(z_b)
        elif entry == "before":
            w, b = sigmoid(z_w + weight), np.tanh(z_b + bias)
        elif entry == "multiply":
            w, b = sigmoid(z_w) * weight, np.tanh(z_b) * bias
        else:
            w, b = sigmoid(z_w) + weight, np.tanh(z_b) + bias
        y[i] = w[:, None, None] * standardised[i] + b[:, None, None]
    return y


@dataclass
class Renormalised:
    """Batch renorm over several steps: Ioffe's averages, or Wang & Wu's debiased ones."""

    channels: int
    debias: bool
    alpha: float = 0.99
    r_max: float = 3.0
    d_max: float = 5.0
    eps: float = 1e-5
    t: int = 0
    m: Array = field(init=False)
    s: Array = field(init=False)
    r: Array = field(init=False)
    d: Array = field(init=False)

    def __post_init__(self) -> None:
        self.m = np.zeros(self.channels)
        self.s = np.zeros(self.channels) if self.debias else np.ones(self.channels)

    def averages(self) -> tuple[Array, Array]:
        correction = 1 - self.alpha**self.t if self.debias else 1.0
        return self.m / correction, self.s / correction

    def step(self, x: Array, weight: Array, bias: Array, *, training: bool = True) -> Array:
        mean, var = batch_moments(x)
        std = np.sqrt(var + self.eps)
        if training and self.debias:
            self._update(mean, std)
        average, deviation = self.averages()
        self.r = np.clip(std / deviation, 1 / self.r_max, self.r_max)
        self.d = np.clip((mean - average) / deviation, -self.d_max, self.d_max)
        if training and not self.debias:
            self._update(mean, std)
        z = (x - per_channel(mean)) / per_channel(std) * per_channel(self.r)
        return per_channel(weight) * (z + per_channel(self.d)) + per_channel(bias)

    def ema(self, x: Array, weight: Array, bias: Array) -> Array:
        average, deviation = self.averages()
        z = (x - per_channel(average)) / per_channel(deviation)
        return per_channel(weight) * z + per_channel(bias)

    def _update(self, mean: Array, std: Array) -> None:
        self.t += 1
        self.m = self.alpha * self.m + (1 - self.alpha) * mean
        self.s = self.alpha * self.s + (1 - self.alpha) * std


def warmed_clip(t: int, closed: float, opened: float, warmup: int, ramp: int) -> float:
    """Ioffe's schedule at batch t (from 1)."""
    if t <= warmup:
        return closed
    return closed + (opened - closed) * min(1.0, (t - warmup) / max(ramp, 1))


def close(actual: Array, expected: Array, tolerance: float = 1e-10) -> bool:
    scale = max(1.0, float(np.abs(expected).max()))
    worst = float(np.abs(actual - expected).max())
    return math.isfinite(worst) and worst <= tolerance * scale
