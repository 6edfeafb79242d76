"""A trial's state as bytes and back, with a checksum; where the bytes are kept is the caller's.

A header (a line naming the format, then the SHA-256 of the rest) precedes what `torch.save`
wrote. Reading executes no code (`weights_only`).
"""

from __future__ import annotations

import hashlib
import io
from typing import Any, TypedDict, cast

import torch
from torch import nn

from trainables.errors import CheckpointDamaged

_FORMAT = b"norm-sweep checkpoint 1\n"
_HEADER_SIZE = len(_FORMAT) + hashlib.sha256().digest_size


class TrialState(TypedDict):
    """All that decides how a trial goes on: random streams need no state (see `seeding`)."""

    trial_id: str
    epoch: int
    num_updates: int
    best_test_error: float
    model: dict[str, Any]
    optimizer: dict[str, Any]
    threshold: dict[str, float]


def to_bytes(state: TrialState) -> bytes:
    """The state with its checksum."""
    buffer = io.BytesIO()
    torch.save(dict(state), buffer)
    payload = buffer.getvalue()
    return _FORMAT + hashlib.sha256(payload).digest() + payload


def weights_digest(model: nn.Module) -> str:
    """First 16 hex digits of the SHA-256 of all parameters and buffers: equal means equal bits."""
    digest = hashlib.sha256()
    for name, tensor in model.state_dict().items():
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
        plain = tensor.detach().cpu().contiguous().reshape(-1)
        digest.update(plain.view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()[:16]


def from_bytes(data: bytes) -> TrialState:
    """The state, on the CPU; raises `CheckpointDamaged` unless `data` is exactly as written."""
    if not data.startswith(_FORMAT):
        raise CheckpointDamaged(
            f"these {len(data)} bytes do not begin as a checkpoint of this version; "
            f"resume from an earlier checkpoint"
        )
    checksum, payload = data[len(_FORMAT) : _HEADER_SIZE], data[_HEADER_SIZE:]
    if hashlib.sha256(payload).digest() != checksum:
        raise CheckpointDamaged(
            f"the checksum of this checkpoint of {len(data)} bytes does not hold; "
            f"resume from an earlier checkpoint"
        )
    return cast(TrialState, torch.load(io.BytesIO(payload), map_location="cpu", weights_only=True))
