"""Random streams of a trial: each derived from the seed alone, none from another's progress.

A stream's numbers depend on (seed, stream, where) and on nothing that ran before. So a trial
resumes at an epoch's start without any generator's state, a reused process gives the same bits
as a new one, and trials of one seed share initial weights and data order whatever their norm.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Literal

import torch

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


@contextmanager
def global_stream(
    seed: int, stream: Stream, *where: int | str, device: torch.device | None = None
) -> Iterator[None]:
    """Within the block torch's global generators follow a stream; after it they are as before.

    Covers the CPU and, where `device` is a CUDA device, that device.
    """
    on_cuda = device is not None and device.type == "cuda"
    with torch.random.fork_rng(devices=[device] if on_cuda else []):
        value = derive(seed, stream, *where)
        torch.default_generator.manual_seed(value)
        if on_cuda:
            with torch.cuda.device(device):
                torch.cuda.manual_seed(value)
        yield
