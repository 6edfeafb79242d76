"""The norm layers of one model: built alike wherever they stand, and remembered."""

from __future__ import annotations

from torch import nn

import normmods
from trainables.errors import Infeasible, reason
from trainables.seeding import GlobalStream
from trainables.spec import NormSpec


class SeededNorms:
    """A norm factory for models: `norms(num_channels)` builds the spec's layer.

    Each layer draws its initial values from a stream of its own, so that no norm shifts the
    initial weights of the model around it. `built` holds the layers in order of construction.
    """

    def __init__(self, spec: NormSpec, *, seed: int) -> None:
        self.spec = spec
        self.seed = seed
        self.built: list[nn.Module] = []

    def __call__(self, num_channels: int) -> nn.Module:
        """The spec's layer for `(B, num_channels, H, W)`.

        Raises `normmods.NormError` for a wrong name or option, and `Infeasible` with the number
        of channels where the layer refuses it.
        """
        with GlobalStream(self.seed, "norm", len(self.built)):
            try:
                layer = normmods.build(self.spec.name, num_channels, **self.spec.options)
            except normmods.NormError:
                raise
            except Exception as error:
                raise Infeasible(
                    f"{self.spec.name} cannot be built for {num_channels} channels: {reason(error)}"
                ) from error
        self.built.append(layer)
        return layer
