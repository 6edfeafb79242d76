"""Random streams of a trial: each derived from the seed alone, none from another's progress.

A stream's numbers depend on (seed, stream, where) and on nothing that ran before. So a trial
resumes at an epoch's start without any generator's state (within an epoch the global stream's is
kept), a reused process gives the same bits as a new one, and trials of one seed share initial
weights and data order whatever their norm.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any, Literal

import torch
from torch import Tensor

Stream = Literal["init", "norm", "order", "augment", "dropout"]
"""`init` and `norm`: initial weights of the model's own layers, and of its norms. `dropout`:
whatever a layer draws from torch's global generators while it trains."""


def derive(seed: int, stream: Stream, *where: int | str) -> int:
    """63 bits for one place of a stream, such as an epoch or a layer's path."""
    text = "/".join(map(str, (seed, stream, *where)))
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") >> 1


def generator(seed: int, stream: Stream, *where: int | str) -> torch.Generator:
    """A CPU generator at the start of `derive(seed, stream, *where)`.

    Draws are made on the CPU and then moved, so that they are the same on every device.
    """
    return torch.Generator().manual_seed(derive(seed, stream, *where))


class SeededGlobalRng:
    """Within `with`, torch's global generators follow a stream; after it they are as before.

    Entered again it goes on where it was left, also from `state_dict` in another process. Covers
    the CPU and, where `device` is a CUDA device, that device.
    """

    def __init__(
        self, seed: int, stream: Stream, *where: int | str, device: torch.device | None = None
    ) -> None:
        self.device = device if device is not None and device.type == "cuda" else None
        self.value = derive(seed, stream, *where)
        self.states: list[Tensor] | None = None
        self.outer: list[Tensor] = []

    def __enter__(self) -> None:
        self.outer = self._read()
        if self.states is not None:
            self._write(self.states)
            return
        torch.default_generator.manual_seed(self.value)
        if self.device is not None:
            with torch.cuda.device(self.device):
                torch.cuda.manual_seed(self.value)

    def __exit__(self, *_: object) -> None:
        self.states = self._read()
        self._write(self.outer)

    def seed_global_rng(self) -> torch.Generator:
        """A generator of its own that goes on where the stream was left, on the stream's device."""
        lent = torch.Generator(self.device or "cpu")
        if self.states is None:
            return lent.manual_seed(self.value)
        lent.set_state(self.states[-1])
        return lent

    def restore_global_rng(self, lent: torch.Generator) -> None:
        """Go on where a generator that was lent has been left."""
        if self.states is None:
            with self:
                pass
        assert self.states is not None
        self.states[-1] = lent.get_state()

    def state_dict(self) -> dict[str, Any]:
        """Where the stream was left; None before it was entered."""
        return {"states": self.states}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from `state_dict`."""
        self.states = state["states"]

    def _read(self) -> list[Tensor]:
        states = [torch.get_rng_state()]
        return states if self.device is None else [*states, torch.cuda.get_rng_state(self.device)]

    def _write(self, states: list[Tensor]) -> None:
        torch.set_rng_state(states[0])
        if self.device is not None:
            torch.cuda.set_rng_state(states[1], self.device)
