"""Random streams of a trial: each is derived from the stream seed, none from another's progress.

A stream's numbers depend on (stream seed, stream, where) and on nothing that ran before. So a trial
resumes at an epoch's start without any generator's state (within an epoch the global stream's is
kept), a reused process gives the same bits as a new one, and trials of one stream seed share
initial weights and data order whatever their norm.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any, Literal

import torch
from torch import Tensor

from trainables.spec import TrialSpec

Stream = Literal["init", "norm", "order", "augment", "dropout"]
"""Purposes of random numbers. `init`: initial weights of a model's own layers; `norm`: of its
norms; `order` and `augment`: order and augmentation of the training examples; `dropout`:
whatever a layer draws from torch's global generators in training."""


def derive_stream_seed(spec: TrialSpec) -> int:
    """Return the seed from which all random streams of the trial are derived.

    It depends on seed and batch size (`per_cell`) or is the seed itself (`per_seed`), and never
    depends on the norm or the rest of the spec. With `per_cell`, results at two batch sizes are
    independent replicates; with `per_seed`, they share initial weights and data order.
    """
    if spec.seeding == "per_seed":
        return spec.seed
    text = f"{spec.seed}/batch_size/{spec.batch_size}"
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") >> 1


def derive_seed(seed: int, stream: Stream, *where: int | str) -> int:
    """Return a seed of 63 bits for one place of a stream, such as an epoch or a layer's path."""
    text = "/".join(map(str, (seed, stream, *where)))
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") >> 1


def seeded_generator(seed: int, stream: Stream, *where: int | str) -> torch.Generator:
    """Return a CPU generator seeded with `derive_seed(seed, stream, *where)`.

    Draws are made on the CPU and then moved, so that they are the same on every device.
    """
    return torch.Generator().manual_seed(derive_seed(seed, stream, *where))


class SeededGlobalRng:
    """A context in which torch's global generators follow a stream, and are restored afterwards.

    Entered again, it continues where it was left, also from `state_dict` in another process. It
    covers the CPU and, if `device` is a CUDA device, this device.
    """

    def __init__(
        self, seed: int, stream: Stream, *where: int | str, device: torch.device | None = None
    ) -> None:
        self.device = device if device is not None and device.type == "cuda" else None
        self.value = derive_seed(seed, stream, *where)
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

    def to_generator(self) -> torch.Generator:
        """Return a new generator that continues the stream, on the stream's device."""
        lent = torch.Generator(self.device or "cpu")
        if self.states is None:
            return lent.manual_seed(self.value)
        lent.set_state(self.states[-1])
        return lent

    def load_generator(self, lent: torch.Generator) -> None:
        """Continue the stream from the state of a generator that `to_generator` returned."""
        if self.states is None:
            with self:
                pass
        assert self.states is not None
        self.states[-1] = lent.get_state()

    def state_dict(self) -> dict[str, Any]:
        """Return the generators' states at the end of the last block; None before the first."""
        return {"states": self.states}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Continue from a state that `state_dict` returned."""
        self.states = state["states"]

    def _read(self) -> list[Tensor]:
        """Return the states of the global generators that the stream covers, the CPU's first."""
        states = [torch.get_rng_state()]
        return states if self.device is None else [*states, torch.cuda.get_rng_state(self.device)]

    def _write(self, states: list[Tensor]) -> None:
        """Set the states of the global generators."""
        torch.set_rng_state(states[0])
        if self.device is not None:
            torch.cuda.set_rng_state(states[1], self.device)
