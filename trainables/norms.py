"""The factory that builds the norm layers of one model, each from a random stream of its own."""

from __future__ import annotations

from collections.abc import Mapping
from typing import cast

from torch import nn

import normmods
from normmods.parameters import find_lazy_tensor
from trainables.errors import Infeasible, describe_error
from trainables.seeding import SeededGlobalRng
from trainables.spec import NormSpec


class SeededNorms:
    """A norm factory for models: `norms(num_channels)` builds the spec's layer.

    Where no activation follows, as before the sum of a residual block, a model calls
    `norms.without_activation(num_channels)` instead. Each layer draws its initial values from a
    stream of its own, so that no norm shifts the initial weights of the model around it.

    Attributes:
        built: the layers in order of construction.
    """

    def __init__(self, spec: NormSpec, *, seed: int) -> None:
        self.spec = spec
        self.seed = seed
        self.built: list[nn.Module] = []
        self._have_activation: list[bool] = []

    def __call__(self, *num_channels: int, **options: object) -> nn.Module:
        """Return a new layer of the spec's norm for `(B, num_channels, H, W)`.

        Raises:
            NormError: a wrong name or option of the norm.
            Infeasible: the layer refuses the number of channels, or the model passes more than it.
        """
        return self._build(self._read_num_channels(num_channels, options), has_activation=True)

    def without_activation(self, *num_channels: int, **options: object) -> nn.Module:
        """Return a new layer without the activation in which some norms end; raises as `__call__`.

        The layer comes from the norm's own method `without_activation`; a norm without this method
        is built as everywhere else.
        """
        return self._build(self._read_num_channels(num_channels, options), has_activation=False)

    def _read_num_channels(self, numbers: tuple[int, ...], options: Mapping[str, object]) -> int:
        """Return the only argument of a model's call, given by position or as `num_channels=8`."""
        if len(numbers) == 1 and not options:
            return numbers[0]
        if not numbers and list(options) == ["num_channels"]:
            return cast("int", options["num_channels"])
        given = ", ".join([*map(repr, numbers), *(f"{k}={v!r}" for k, v in options.items())])
        option = next((name for name in options if name != "num_channels"), "option")
        raise Infeasible(
            f"the model calls norm({given}), but norm takes the number of channels alone; options "
            f"of the norm stand in the grid: {{name: {self.spec.name}, {option}: …}}"
        )

    def build_another(self, layer: nn.Module, num_channels: int) -> nn.Module:
        """Return a new layer like `layer`, one of `built`, for `num_channels`, outside `built`."""
        has_activation = self._have_activation[self.built.index(layer)]
        return SeededNorms(self.spec, seed=self.seed)._build(
            num_channels, has_activation=has_activation
        )

    def _build(self, num_channels: int, *, has_activation: bool) -> nn.Module:
        """Build a layer from its own random stream and append it to `built`."""
        with SeededGlobalRng(self.seed, "norm", len(self.built)):
            try:
                layer = normmods.build(self.spec.name, num_channels, **self.spec.options)
                bare = getattr(layer, "without_activation", None)
                if not has_activation and callable(bare):
                    layer = bare()
                    if not isinstance(layer, nn.Module):
                        raise TypeError(
                            f"without_activation() returned {type(layer).__name__}; "
                            f"expected a torch.nn.Module"
                        )
            except normmods.NormError:
                raise
            except Exception as error:
                raise Infeasible(
                    f"{self.spec.name} cannot be built for {num_channels} channels: "
                    f"{describe_error(error)}"
                ) from error
        if lazy := find_lazy_tensor(layer):
            raise Infeasible(
                f"{self.spec.name} has a lazy layer: {lazy} has no shape before a first batch; "
                f"build the layer with its number of channels"
            )
        self.built.append(layer)
        self._have_activation.append(has_activation)
        return layer
