"""Conversion of a trial's state to bytes with a checksum, and back; the caller stores the bytes.

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
    """The state of a trial from which its further training follows completely.

    `current` is the state of the epoch in training, None between epochs. `compiled` are the ranges
    of steps that ran compiled (see `trainables.stepping`).
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


def serialize_state(state: TrialState) -> bytes:
    """Return the state as a checkpoint's bytes: a format line, a checksum, torch's archive."""
    buffer = io.BytesIO()
    torch.save(_copy_views(dict(state)), buffer)
    payload = buffer.getvalue()
    header = b"norm-sweep checkpoint %d\n" % VERSION
    return header + _checksum(header, payload) + payload


def _copy_views(value: Any) -> Any:
    """Return `value` with each tensor that is a part of a larger one copied.

    `torch.save` would write the whole storage of the larger tensor.
    """
    if isinstance(value, torch.Tensor):
        whole = value.untyped_storage().nbytes() == value.nbytes
        return value if whole else value.clone()
    if isinstance(value, Mapping):
        return {key: _copy_views(item) for key, item in value.items()}
    return [_copy_views(item) for item in value] if isinstance(value, list) else value


def weights_digest(model: nn.Module) -> str:
    """Return the first 16 hex digits of the SHA-256 of all parameters and buffers of `model`.

    Two models have the same digest exactly if their state dicts have the same bits.
    """
    digest = hashlib.sha256()
    for name, tensor in model.state_dict().items():
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
        plain = tensor.detach().cpu().contiguous().reshape(-1)
        digest.update(plain.view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()[:16]


def deserialize_state(data: bytes) -> TrialState:
    """Return the state that `serialize_state` wrote, with its tensors on the CPU.

    Raises:
        CheckpointDamaged: `data` is not exactly what was written.
        CheckpointTooNew: a later version of the program wrote `data`.
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
    """Return the 32 bytes of the SHA-256 of header and payload."""
    return hashlib.sha256(header + payload).digest()
