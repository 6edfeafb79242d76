from __future__ import annotations

import pytest
import torch
from prepared_norms import CHANNELS, NAMES, batch, prepared
from torch import nn
from torch.utils.checkpoint import checkpoint

REFUSED = ("batchrenorm", "renorm_debias", "batchchannelnorm", "mabn")
WAYS = [True, False]


def train(layer: nn.Module, *, reentrant: bool | None) -> torch.Tensor:
    """Three training steps; the gradient of the last input. None is without checkpointing."""
    for step in range(3):
        x = batch(step).requires_grad_()
        y = layer(x) if reentrant is None else checkpoint(layer, x, use_reentrant=reentrant)
        y.pow(3).sum().backward()
    assert x.grad is not None
    return x.grad


@pytest.mark.parametrize("reentrant", WAYS)
@pytest.mark.parametrize("name", [name for name in NAMES if name not in REFUSED])
def test_gradients_are_the_same_bits(name: str, reentrant: bool) -> None:
    layer, plain = prepared(name), prepared(name)
    assert torch.equal(train(layer, reentrant=reentrant), train(plain, reentrant=None))
    for mine, other in zip(layer.parameters(), plain.parameters(), strict=True):
        assert torch.equal(mine.grad, other.grad)


@pytest.mark.parametrize("reentrant", WAYS)
def test_statistics_move_twice_as_torchs_do(reentrant: bool) -> None:
    ours, theirs = prepared("batchnorm"), nn.BatchNorm2d(CHANNELS)
    theirs.load_state_dict(ours.state_dict(), strict=False)
    train(ours, reentrant=reentrant), train(theirs, reentrant=reentrant)
    assert int(theirs.num_batches_tracked) == 6
    for key, buffer in theirs.named_buffers():
        torch.testing.assert_close(ours.get_buffer(key), buffer)


@pytest.mark.parametrize("reentrant", WAYS)
@pytest.mark.parametrize("name", REFUSED)
def test_what_its_moved_statistics_would_recompute_otherwise_is_refused(
    name: str, reentrant: bool
) -> None:
    layer = prepared(name)
    y = checkpoint(layer, batch().requires_grad_(), use_reentrant=reentrant)
    before = int(layer.num_batches_tracked)
    with pytest.raises(RuntimeError, match=r"cannot be recomputed.*torch\.utils\.checkpoint"):
        y.sum().backward()
    assert int(layer.num_batches_tracked) == before


@pytest.mark.parametrize("reentrant", WAYS)
@pytest.mark.parametrize("name", REFUSED)
def test_in_evaluation_all_are_recomputed(name: str, reentrant: bool) -> None:
    layer, plain = prepared(name).eval(), prepared(name).eval()
    assert torch.equal(train(layer, reentrant=reentrant), train(plain, reentrant=None))


@pytest.mark.parametrize("name", NAMES)
def test_a_layer_declares_whether_it_repeats_its_output(name: str) -> None:
    layer = prepared(name)
    assert layer.recomputable == (name not in REFUSED)
    layer(batch(1))
    assert torch.equal(layer(batch()), layer(batch())) or not layer.recomputable
