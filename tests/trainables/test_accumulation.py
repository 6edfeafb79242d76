"""Gradients of several batches in one optimizer step."""

import re

import pytest
import torch
import torch.nn.functional as F
from torch import nn
from trial_specs import shrink_trial, with_train

from trainables import Infeasible, Trial, check_feasibility
from trainables.data.batches import training_chunks
from trainables.optim import learning_rate_at


def accumulated(norm: str, *, batch_size: int, per_step: int, lr: float = 1e-2) -> Trial:
    spec = shrink_trial(norm, batch_size=batch_size, lr=lr, weight_decay=0.1, epochs=1)
    return Trial(with_train(spec, optimizer_batch_size=per_step))


def test_without_batch_statistics_it_is_the_large_batch() -> None:
    small = accumulated("layernorm", batch_size=4, per_step=16)
    large = accumulated("layernorm", batch_size=16, per_step=16)
    of_small, of_large = small.run_epoch(), large.run_epoch()
    assert of_small.num_updates == of_large.num_updates == 6
    assert of_small.train_loss == pytest.approx(of_large.train_loss, rel=1e-5)
    assert of_small.train_error == pytest.approx(of_large.train_error)
    torch.testing.assert_close(small.model.state_dict(), large.model.state_dict())


def test_with_batch_statistics_it_is_the_textbook_loop() -> None:
    trial = accumulated("torch.nn:BatchNorm2d", batch_size=4, per_step=8)
    plain = Trial(trial.spec)
    optimizer = torch.optim.SGD(
        plain.model.parameters(), lr=1e-2, momentum=0.9, weight_decay=0.1, foreach=False
    )
    plain.model.train()
    examples = [
        (x, y)
        for images, labels in training_chunks(
            plain.dataset, batch_size=1, augment="none", seed=0, epoch=1
        )
        for x, y in zip(images, labels, strict=True)
    ]
    for start in range(0, 96, 8):  # the last 4 of the 100 fill no step
        optimizer.zero_grad()
        for at in (start, start + 4):
            images, labels = (torch.stack(c) for c in zip(*examples[at : at + 4], strict=True))
            (F.cross_entropy(plain.model(images), labels) / 2).backward()
        optimizer.step()
    metrics = trial.run_epoch()
    assert metrics.num_updates == 12
    torch.testing.assert_close(
        trial.model.state_dict(), plain.model.state_dict(), rtol=1e-3, atol=1e-5
    )
    counts = {
        int(layer.num_batches_tracked)  # type: ignore[arg-type]
        for layer in trial.model.modules()
        if isinstance(layer, nn.BatchNorm2d)
    }
    assert counts == {24}


def test_the_learning_rate_scales_with_what_the_optimizer_sees() -> None:
    spec = with_train(
        shrink_trial(batch_size=2, lr=0.1),
        optimizer_batch_size=16,
        lr_scaling="linear",
        reference_batch_size=64,
    )
    assert learning_rate_at(spec, 1) == pytest.approx(0.1 * 16 / 64)


def test_what_does_not_divide_is_refused() -> None:
    for size in (6, 2):
        spec = with_train(shrink_trial(batch_size=4), optimizer_batch_size=size)
        with pytest.raises(ValueError, match="must be a multiple of batch_size") as caught:
            check_feasibility(spec)
        assert not isinstance(caught.value, Infeasible)
    message = re.escape("`optimizer_batch_size <= num_train` must hold")
    with pytest.raises(Infeasible, match=message):
        check_feasibility(with_train(shrink_trial(batch_size=4), optimizer_batch_size=104))
    dimensions = check_feasibility(with_train(shrink_trial(batch_size=4), optimizer_batch_size=48))
    assert dimensions.updates_per_epoch == 2
