"""Measurements of a model in training or in a test that change nothing in the model."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from normmods.data_flow import find_tensors
from trainables.spec import TrainSpec


class Mean:
    """A running mean of tensors of one shape, summed in float64 on their device without a wait."""

    def __init__(self) -> None:
        self.total: Tensor | None = None
        self.count = 0

    def add(self, value: Tensor) -> None:
        """Add one value."""
        self.add_sum(value, 1)

    def add_sum(self, total: Tensor, count: int) -> None:
        """Add the sum `total` of `count` values."""
        total = total.detach().double()
        self.total = total if self.total is None else self.total + total
        self.count += count

    def of_network(self, network: int) -> Mean:
        """Return the mean of one of S networks, from values of shape `(S,)` or `(S, ...)`."""
        mean = Mean()
        if self.total is not None:
            mean.add_sum(self.total.reshape(-1, *self.total.shape[1:])[network], self.count)
        return mean

    def state_dict(self) -> dict[str, Any]:
        """Return the state from which `load_state_dict` continues."""
        return {"total": self.total, "count": self.count}

    def load_state_dict(self, state: Mapping[str, Any], device: torch.device) -> None:
        """Continue from a state that `state_dict` returned."""
        self.total = None if state["total"] is None else state["total"].to(device)
        self.count = state["count"]

    def metrics(self, *names: str) -> dict[str, float]:
        """Return the mean's elements under these names; nothing if no value was added."""
        if self.total is None:
            return {}
        values = (self.total / self.count).reshape(-1).tolist()
        return dict(zip(names, values, strict=True))


@contextmanager
def clipped_fraction(model: nn.Module, mean: Mean | None = None) -> Iterator[Mean]:
    """Average the share of clipped channels over layers and forward passes within the block.

    The share is read after each forward pass from every layer that has a method `clipped_fraction`
    (the batch renormalizations), and added to `mean`, or to a new `Mean`, which is yielded.
    """
    mean = mean or Mean()
    with ExitStack() as hooks:
        for layer in model.modules():
            read = getattr(layer, "clipped_fraction", None)
            if callable(read):
                hook = layer.register_forward_hook(lambda *_, read=read: mean.add(read()))
                hooks.callback(hook.remove)
        yield mean


@contextmanager
def channel_moments(
    model: nn.Module, path: str, mean: Mean, *, num_networks: int = 1
) -> Iterator[None]:
    """Add mean and mean square of a layer's output to `mean` in each forward pass of the block.

    Each added value is `(S, 2)`: the two moments of each of S networks side by side in channels.

    Raises:
        ValueError: the model has no layer at `path`, or the layer does not return one tensor.
    """

    def add_moments(_layer: nn.Module, _inputs: object, output: object) -> None:
        """Add the moments of a layer's output; a forward hook."""
        values = tensor_to_watch(path, output).detach().float()
        own = values.chunk(num_networks, dim=1) if num_networks > 1 else [values]
        mean.add(torch.stack([torch.stack((x.mean(), x.square().mean())) for x in own]))

    hook = layer_at(model, path).register_forward_hook(add_moments)
    try:
        yield
    finally:
        hook.remove()


def tensor_to_watch(path: str, output: object) -> Tensor:
    """Return the only tensor in the output of the layer at `path`, also from inside a container.

    Raises:
        ValueError: the output contains no tensor or several.
    """
    found = find_tensors(output)
    if len(found) != 1:
        raise ValueError(
            f"`watch` must name a layer that returns one tensor, but got watch={path!r}, which "
            f"returns {len(found)} ({type(output).__name__}): name a layer behind it"
        )
    return found[0]


def layer_at(model: nn.Module, path: str) -> nn.Module:
    """Return the model's layer at `path`; raises `ValueError` with all paths if none is there."""
    layers: dict[str, nn.Module] = dict(model.named_modules())
    if not path or path not in layers:
        names = [name for name, layer in layers.items() if name and not list(layer.children())]
        raise ValueError(
            f"`watch` must name a layer of the model, but got watch={path!r}: its layers are "
            f"{', '.join(names)}"
        )
    return layers[path]


class TrainingObserver:
    """Context manager that records the metrics `extra_metrics` and `watch` of a spec over an epoch.

    The model is observed within the block, which may be entered again. Of S networks side by side
    each one is observed.
    """

    def __init__(self, model: nn.Module, spec: TrainSpec, *, num_networks: int = 1) -> None:
        self.model = model
        self.spec = spec
        self.num_networks = num_networks
        self.gradient, self.clipped, self.activations = Mean(), Mean(), Mean()
        self.hooks = ExitStack()

    def __enter__(self) -> TrainingObserver:
        if "clipped_fraction" in self.spec.extra_metrics:
            self.hooks.enter_context(clipped_fraction(self.model, self.clipped))
        if self.spec.watch is not None:
            watched = channel_moments(
                self.model, self.spec.watch, self.activations, num_networks=self.num_networks
            )
            self.hooks.enter_context(watched)
        return self

    def __exit__(self, *_: object) -> None:
        self.hooks.close()

    def add_network(self, network: int, together: TrainingObserver) -> None:
        """Add the observations of one network from an observer of several networks."""
        seen = together._means()
        for name, mean in self._means().items():
            part = seen[name].of_network(network)
            if part.total is not None:
                mean.add_sum(part.total, part.count)

    def state_dict(self) -> dict[str, Any]:
        """Return the state from which `load_state_dict` continues."""
        return {name: mean.state_dict() for name, mean in self._means().items()}

    def load_state_dict(self, state: Mapping[str, Any], device: torch.device) -> None:
        """Continue from a state that `state_dict` returned."""
        for name, mean in self._means().items():
            mean.load_state_dict(state[name], device)

    def _means(self) -> dict[str, Mean]:
        """Return the means by the names under which a checkpoint holds them."""
        return {
            "gradient": self.gradient,
            "clipped": self.clipped,
            "activations": self.activations,
        }

    def before_update(self) -> None:
        """Read the gradients that the optimizer is about to use."""
        if "gradient_norm" in self.spec.extra_metrics:
            self.gradient.add(gradient_norms(self.model, self.num_networks))

    def metrics(self) -> dict[str, float]:
        """Return the epoch's means by metric; the activations' variance is over all values."""
        found = self.gradient.metrics("gradient_norm") | self.clipped.metrics("clipped_fraction")
        outputs = self.activations.metrics("activation_mean", "activation_variance")
        if outputs:
            outputs["activation_variance"] -= outputs["activation_mean"] ** 2
        return found | outputs


def gradient_norms(model: nn.Module, num_networks: int = 1) -> Tensor:
    """Return the Euclidean norm of all gradients of each of the networks side by side, `(S,)`."""
    grads = [parameter.grad for parameter in model.parameters() if parameter.grad is not None]
    if num_networks == 1:
        return nn.utils.get_total_norm(grads)[None]
    own = [torch.linalg.vector_norm(grad.view(num_networks, -1), dim=1) for grad in grads]
    total: Tensor = torch.linalg.vector_norm(torch.stack(own), dim=0)
    return total
