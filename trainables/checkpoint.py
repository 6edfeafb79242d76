"""A trial's state as bytes and back, with a checksum; where the bytes are kept is the caller's.

A line naming the format, then the SHA-256 of all but itself, precedes what `torch.save`
wrote. Reading executes no code (`weights_only`).
"""

from __future__ import annotations

import hashlib
import io
import pickle
import re
from collections.abc import Mapping
from typing import Any, NotRequired, TypedDict, cast

import torch
from torch import nn

from trainables.errors import CheckpointDamaged, CheckpointTooNew

VERSION = 2
_FORMAT = re.compile(rb"norm-sweep checkpoint ([0-9]{1,9})\n")


class TrialState(TypedDict):
    """All that decides how a trial goes on; `current` is the epoch that has begun, if one has.

    `compiled` are the steps that ran compiled (see `trainables.stepping`).
    """

    trial_id: str
    epoch: int
    num_updates: int
    best_test_error: float
    model: dict[str, Any]
    optimizer: dict[str, Any]
    threshold: dict[str, float]
    current: dict[str, Any] | None
    compiled: NotRequired[list[list[int | None]]]


def to_bytes(state: TrialState) -> bytes:
    """The state with its checksum."""
    buffer = io.BytesIO()
    torch.save(_owned(dict(state)), buffer)
    payload = buffer.getvalue()
    header = b"norm-sweep checkpoint %d\n" % VERSION
    return header + _checksum(header, payload) + payload


def _owned(value: Any) -> Any:
    """The same with parts of larger tensors copied: `torch.save` would write all of those."""
    if isinstance(value, torch.Tensor):
        whole = value.untyped_storage().nbytes() == value.nbytes
        return value if whole else value.clone()
    if isinstance(value, Mapping):
        return {key: _owned(item) for key, item in value.items()}
    return [_owned(item) for item in value] if isinstance(value, list) else value


def weights_digest(model: nn.Module) -> str:
    """First 16 hex digits of the SHA-256 of all parameters and buffers: equal means equal bits."""
    digest = hashlib.sha256()
    for name, tensor in model.state_dict().items():
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
        plain = tensor.detach().cpu().contiguous().reshape(-1)
        digest.update(plain.view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()[:16]


def from_bytes(data: bytes) -> TrialState:
    """The state, on the CPU.

    Raises `CheckpointDamaged` unless `data` is exactly as written, and `CheckpointTooNew` if a
    later version of the program has written it.
    """
    header = _FORMAT.match(data)
    if header is None:
        raise CheckpointDamaged(
            f"these {len(data)} bytes do not begin as a checkpoint; "
            f"resume from an earlier checkpoint"
        )
    payload_at = header.end() + hashlib.sha256().digest_size
    checksum, payload = data[header.end() : payload_at], data[payload_at:]
    if _checksum(header[0], payload) != checksum:
        raise CheckpointDamaged(
            f"the checksum of this checkpoint of {len(data)} bytes does not hold; "
            f"resume from an earlier checkpoint"
        )
    version = int(header[1])
    if version > VERSION:
        raise CheckpointTooNew(
            f"the checkpoint has version {version}, but this program knows versions up to "
            f"{VERSION}; update the program"
        )
    try:
        state = torch.load(io.BytesIO(payload), map_location="cpu", weights_only=True)
    except (pickle.UnpicklingError, RuntimeError, EOFError) as error:
        raise CheckpointDamaged(
            "this checkpoint holds something else than plain numbers and texts; "
            "resume from an earlier checkpoint"
        ) from error
    return cast(TrialState, state)


def _checksum(header: bytes, payload: bytes) -> bytes:
    return hashlib.sha256(header + payload).digest()
