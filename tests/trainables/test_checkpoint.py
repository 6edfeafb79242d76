import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from trainables.checkpoint import TrialState, from_bytes, to_bytes
from trainables.errors import CheckpointDamaged

STATE: TrialState = {
    "trial_id": "0123456789ab",
    "epoch": 3,
    "num_updates": 42,
    "best_test_error": 12.5,
    "model": {"weight": torch.arange(6.0).reshape(2, 3), "t": torch.tensor(7)},
    "optimizer": {"state": {0: {"momentum_buffer": None}}, "param_groups": [{"lr": 0.1}]},
}
DATA = to_bytes(STATE)


def test_state_comes_back_as_it_was() -> None:
    state = from_bytes(DATA)
    for key, tensor in STATE["model"].items():
        torch.testing.assert_close(state["model"][key], tensor, rtol=0, atol=0)
    assert {**state, "model": None} == {**STATE, "model": None}


@given(length=st.integers(0, len(DATA) - 1))
def test_truncation_is_noticed(length: int) -> None:
    with pytest.raises(CheckpointDamaged, match="resume from an earlier checkpoint"):
        from_bytes(DATA[:length])


@given(position=st.integers(0, len(DATA) - 1), mask=st.integers(1, 255))
def test_a_changed_byte_is_noticed(position: int, mask: int) -> None:
    changed = bytearray(DATA)
    changed[position] ^= mask
    with pytest.raises(CheckpointDamaged):
        from_bytes(bytes(changed))
