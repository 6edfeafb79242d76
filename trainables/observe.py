"""What is read off a model while it trains or is tested, and changes nothing in it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from trainables.spec import TrainSpec


class Mean:
    """The mean of tensors of one shape, summed in float64 on their device: nothing waits for it."""

    def __init__(self) -> None:
        self.total: Tensor | None = None
        self.count = 0

    def add(self, value: Tensor) -> None:
        """Take in one more value."""
        value = value.detach().double()
        self.total = value if self.total is None else self.total + value
        self.count += 1

    def state_dict(self) -> dict[str, Any]:
        """What `load_state_dict` needs to go on."""
        return {"total": self.total, "count": self.count}

    def load_state_dict(self, state: Mapping[str, Any], device: torch.device) -> None:
        """Go on from `state_dict`."""
        self.total = None if state["total"] is None else state["total"].to(device)
        self.count = state["count"]

    def metrics(self, *names: str) -> dict[str, float]:
        """The mean's elements under these names; none where nothing was added."""
        if self.total is None:
            return {}
        values = (self.total / self.count).reshape(-1).tolist()
        return dict(zip(names, values, strict=True))


@contextmanager
def clipping(model: nn.Module, mean: Mean | None = None) -> Iterator[Mean]:
    """The share of channels whose correction was clipped, over layers and forward passes.

    Read from every layer that has a method `clipped_fraction` (the batch renormalizations), and
    added to the `mean` that is given.
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
def moments(model: nn.Module, path: str, mean: Mean) -> Iterator[None]:
    """Add mean and mean square of the output of the layer at `path`, over forward passes.

    Raises `ValueError` where the model has no such layer.
    """

    def read(_layer: nn.Module, _inputs: object, output: Tensor) -> None:
        output = output.detach().float()
        mean.add(torch.stack((output.mean(), output.square().mean())))

    hook = layer_at(model, path).register_forward_hook(read)
    try:
        yield
    finally:
        hook.remove()


def layer_at(model: nn.Module, path: str) -> nn.Module:
    """The layer that the model calls `path`; raises `ValueError` with the names there are."""
    layers: dict[str, nn.Module] = dict(model.named_modules())
    if not path or path not in layers:
        names = [name for name, layer in layers.items() if name and not list(layer.children())]
        raise ValueError(
            f"`watch` must name a layer of the model, but got watch={path!r}: its layers are "
            f"{', '.join(names)}"
        )
    return layers[path]


class TrainingObserver:
    """What `extra_metrics` and `watch` of a spec ask for, over an epoch.

    A context manager, within which the model is observed; it may be entered again.
    """

    def __init__(self, model: nn.Module, spec: TrainSpec) -> None:
        self.model = model
        self.spec = spec
        self.gradient, self.clipped, self.activations = Mean(), Mean(), Mean()
        self.hooks = ExitStack()

    def __enter__(self) -> TrainingObserver:
        if "clipped_fraction" in self.spec.extra_metrics:
            self.hooks.enter_context(clipping(self.model, self.clipped))
        if self.spec.watch is not None:
            self.hooks.enter_context(moments(self.model, self.spec.watch, self.activations))
        return self

    def __exit__(self, *_: object) -> None:
        self.hooks.close()

    def state_dict(self) -> dict[str, Any]:
        """What `load_state_dict` needs to go on."""
        return {name: mean.state_dict() for name, mean in self._means().items()}

    def load_state_dict(self, state: Mapping[str, Any], device: torch.device) -> None:
        """Go on from `state_dict`."""
        for name, mean in self._means().items():
            mean.load_state_dict(state[name], device)

    def _means(self) -> dict[str, Mean]:
        return {
            "gradient": self.gradient,
            "clipped": self.clipped,
            "activations": self.activations,
        }

    def before_update(self) -> None:
        """Read the gradients that the optimizer is about to use."""
        if "gradient_norm" in self.spec.extra_metrics:
            self.gradient.add(gradient_norm(self.model))

    def metrics(self) -> dict[str, float]:
        """The epoch's means; the activations' variance is that of all their values together."""
        found = self.gradient.metrics("gradient_norm") | self.clipped.metrics("clipped_fraction")
        outputs = self.activations.metrics("activation_mean", "activation_variance")
        if outputs:
            outputs["activation_variance"] -= outputs["activation_mean"] ** 2
        return found | outputs


def gradient_norm(model: nn.Module) -> Tensor:
    """Euclidean norm of all gradients together, a 0-d tensor."""
    grads = [parameter.grad for parameter in model.parameters() if parameter.grad is not None]
    return nn.utils.get_total_norm(grads)
