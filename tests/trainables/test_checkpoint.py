import hashlib
import io
from pathlib import Path

import pytest
import torch
from hostile_pickle import hostile_payload
from hypothesis import given
from hypothesis import strategies as st

from trainables.checkpoint import VERSION, TrialState, deserialize_state, serialize_state
from trainables.errors import CheckpointDamaged, CheckpointTooNew

STATE: TrialState = {
    "trial_id": "0123456789ab",
    "epoch": 3,
    "num_updates": 42,
    "best_test_error": 12.5,
    "model": {"weight": torch.arange(6.0).reshape(2, 3), "t": torch.tensor(7)},
    "optimizer": {"velocities": [torch.zeros(2, 3)]},
    "threshold": {"num_held": 0, "elapsed_s": 0.0},
    "current": None,
}
DATA = serialize_state(STATE)


def test_state_comes_back_as_it_was() -> None:
    state = deserialize_state(DATA)
    for key, tensor in STATE["model"].items():
        torch.testing.assert_close(state["model"][key], tensor, rtol=0, atol=0)
    tensors = {"model": None, "optimizer": None}
    assert {**state, **tensors} == {**STATE, **tensors}


def test_code_in_a_checkpoint_is_not_run(tmp_path: Path) -> None:
    """Even with a checksum that holds."""
    header, payload = DATA[: DATA.index(b"\n") + 1], hostile_payload(tmp_path / "owned")
    with pytest.raises(CheckpointDamaged, match="something else than plain numbers"):
        deserialize_state(header + hashlib.sha256(header + payload).digest() + payload)
    assert not (tmp_path / "owned").exists()
    torch.load(io.BytesIO(payload), weights_only=False)  # the payload is what it claims to be
    assert (tmp_path / "owned").read_text() == "owned"


@given(length=st.integers(0, len(DATA) - 1))
def test_truncation_is_noticed(length: int) -> None:
    with pytest.raises(CheckpointDamaged, match="resume from an earlier checkpoint"):
        deserialize_state(DATA[:length])


@given(position=st.integers(0, len(DATA) - 1), mask=st.integers(1, 255))
def test_a_changed_byte_is_noticed(position: int, mask: int) -> None:
    changed = bytearray(DATA)
    changed[position] ^= mask
    with pytest.raises(CheckpointDamaged):
        deserialize_state(bytes(changed))


def test_a_checkpoint_of_a_newer_version_is_told_from_a_damaged_one() -> None:
    payload = b"whatever a later version writes"
    header = b"norm-sweep checkpoint %d\n" % (VERSION + 1)
    newer = header + hashlib.sha256(header + payload).digest() + payload
    with pytest.raises(CheckpointTooNew, match=rf"version {VERSION + 1}, .* up to {VERSION};"):
        deserialize_state(newer)
    with pytest.raises(CheckpointDamaged):
        deserialize_state(newer[:-1])
