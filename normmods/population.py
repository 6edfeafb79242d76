"""Test statistics of a whole model: the choice among them, and precise statistics."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from normmods.batch import BatchStatisticsNorm


def eval_choices(model: nn.Module) -> tuple[str, ...]:
    """Return the test statistics that every batch-statistics layer of `model` offers.

    The result is () for a model without such layers.

    Args:
        model: a model, or a single layer.

    Examples:
        >>> eval_choices(BatchNorm(8)), eval_choices(GroupNorm(8))
        (('ema', 'precise', 'batch'), ())
    """
    layers = _layers(model)
    if not layers:
        return ()
    return tuple(
        choice
        for choice in layers[0].eval_choices
        if all(choice in layer.eval_choices for layer in layers)
    )


@contextmanager
def using_eval_statistics(model: nn.Module, choice: str) -> Iterator[None]:
    """Use the test statistics `choice` in every batch-statistics layer within the block.

    Args:
        model: a model, or a single layer.
        choice: `ema`, `batch` or `precise`.

    Raises:
        ValueError: `model` has no such layer, or one that does not offer `choice`.

    Examples:
        >>> layer = BatchNorm(8).eval()
        >>> with using_eval_statistics(layer, "batch"):
        ...     layer.eval_statistics
        'batch'
        >>> layer.eval_statistics
        'ema'
    """
    offered = eval_choices(model)
    if choice not in offered:
        raise ValueError(
            f"`choice` must be offered by every batch-statistics layer of the model, but got "
            f"choice={choice!r}: it offers {', '.join(offered) or 'none'}"
        )
    layers = _layers(model)
    before = [layer.eval_statistics for layer in layers]
    for layer in layers:
        layer.eval_statistics = choice
    try:
        yield
    finally:
        for layer, previous in zip(layers, before, strict=True):
            layer.eval_statistics = previous


def recompute_precise(model: nn.Module, batches: Iterable[Tensor]) -> None:
    """Recompute the `precise` statistics of every layer of `model` that has them.

    Each batch of inputs passes once through the model in evaluation mode (no dropout, no
    random numbers), normalised by the batch's own statistics. Every layer pools the sums of its
    inputs over all batches, in float64, so unequal batches count by their size and the
    spread between batches counts too (Wu & Johnson 2021, arXiv 2105.07576, section 3). Use
    batches as large as memory allows. Nothing else of the model's state changes.

    Args:
        model: a model, or a single layer.
        batches: inputs of the model, (B, C, H, W) each.

    Raises:
        ValueError: `batches` is empty.

    Examples:
        >>> layer, x = BatchNorm(8), torch.randn(64, 8, 4, 4)
        >>> recompute_precise(layer, x.split(16))
        >>> torch.allclose(layer.precise_mean, x.mean((0, 2, 3)), atol=1e-6)
        True
    """
    pooled = {
        layer: _PooledMoments() for layer in _layers(model) if "precise" in layer.eval_choices
    }
    if not pooled:
        return
    modes = {module: module.training for module in model.modules()}
    hooks = [
        layer.register_forward_pre_hook(moments.add, with_kwargs=True)
        for layer, moments in pooled.items()
    ]
    model.eval()
    try:
        with torch.no_grad(), using_eval_statistics(model, "batch"):
            for batch in batches:
                model(batch)
    finally:
        for hook in hooks:
            hook.remove()
        for module, training in modes.items():
            module.training = training
    reached = {layer: moments for layer, moments in pooled.items() if moments.count}
    for layer, moments in (reached or pooled).items():  # a model may leave out a layer
        moments.store(layer)


class _PooledMoments:
    """Count, mean and summed squared deviations by channel, merged batch by batch."""

    def __init__(self) -> None:
        self.count = 0
        self.mean = torch.zeros(())
        self.squares = torch.zeros(())

    def add(self, _layer: nn.Module, inputs: tuple[Any, ...], named: dict[str, Any]) -> None:
        """Merge the layer's input by the parallel form of Chan, Golub & LeVeque (1979)."""
        x: Tensor = next(iter((*inputs, *named.values()))).double()
        count = x.numel() // x.shape[1]
        var, mean = torch.var_mean(x, dim=(0, 2, 3), correction=0)
        if self.count == 0:
            self.count, self.mean, self.squares = count, mean, var * count
            return
        total = self.count + count
        shift = mean - self.mean
        self.squares = self.squares + var * count + shift.square() * self.count * count / total
        self.mean = self.mean + shift * count / total
        self.count = total

    def store(self, layer: BatchStatisticsNorm) -> None:
        """Write the pooled mean and variance into the layer's buffers."""
        if self.count == 0:
            raise ValueError(
                "`batches` must reach every layer with precise statistics, but got none: "
                "pass at least one batch"
            )
        layer.precise_mean.copy_(self.mean)
        layer.precise_var.copy_(self.squares / max(self.count - layer.precise_correction, 1))
        layer.precise_count.fill_(self.count)


def _layers(model: nn.Module) -> list[BatchStatisticsNorm]:
    """Return the model's layers with batch statistics."""
    return [module for module in model.modules() if isinstance(module, BatchStatisticsNorm)]
