import itertools
import math
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F
from same_bits import assert_same_bits, finish
from torch import Tensor, nn
from trial_specs import shrink_trial

from trainables import Diverged, Infeasible, Trial, TrialSpec, train
from trainables.data.batches import training_chunks
from trainables.spec import DataSpec, ScheduleSpec
from trainables.spec_class import Seeding

COSINE = ScheduleSpec(name="cosine")
AUGMENTED = DataSpec(name="digits", num_train=60, num_test=30, augment="crop_flip")


@pytest.mark.parametrize("norm", ["assocnorm", "probe_norms:WithDropout"])
def test_a_trial_after_others_ends_with_the_same_bits(norm: str) -> None:
    spec = shrink_trial(norm, data=AUGMENTED)
    first = finish(Trial(spec))
    finish(Trial(shrink_trial("batchnorm", batch_size=64, seed=5)))
    interrupted = Trial(shrink_trial("renorm_debias", lr=1e30))
    with pytest.raises(Diverged):
        finish(interrupted)
    again = finish(Trial(spec))
    assert again[0] == first[0]
    assert_same_bits(again[1], first[1])


def test_a_trial_leaves_the_process_as_it_was() -> None:
    before = torch.get_rng_state(), torch.backends.mkldnn.enabled
    finish(Trial(shrink_trial("probe_norms:WithDropout", batch_size=2, epochs=1)))
    assert torch.equal(torch.get_rng_state(), before[0])
    assert torch.backends.mkldnn.enabled == before[1]


def seen_by_first_layer(trial: Trial) -> Tensor:
    seen: list[Tensor] = []
    hook = trial.model.conv1.register_forward_hook(lambda _m, x, _y: seen.append(x[0].clone()))  # type: ignore[union-attr]
    trial.run_epoch()
    hook.remove()
    return torch.cat(seen)


@pytest.mark.parametrize("seeding", ["per_cell", "per_seed"])
@pytest.mark.parametrize("other", ["assocnorm", "probe_norms:WithLinear"])
def test_norms_share_initial_weights_and_data_of_a_seed(other: str, seeding: Seeding) -> None:
    one, two = (
        Trial(replace(shrink_trial(norm, data=AUGMENTED), seeding=seeding))
        for norm in ("batchnorm", other)
    )
    shared = [path for path, _ in one.model.named_parameters() if "conv" in path or "fc" in path]
    shared += ["stage2.0.shortcut.0.weight"]
    assert len(shared) == 10
    for path in shared:
        assert torch.equal(one.model.get_parameter(path), two.model.get_parameter(path))
    assert torch.equal(seen_by_first_layer(one), seen_by_first_layer(two))


def test_seeds_differ_in_weights_and_data() -> None:
    one, two = (Trial(shrink_trial(seed=seed)) for seed in (0, 1))
    assert not torch.equal(one.model.conv1.weight, two.model.conv1.weight)  # type: ignore[arg-type,union-attr]
    assert not torch.equal(seen_by_first_layer(one), seen_by_first_layer(two))


def test_batch_sizes_of_a_seed_differ_in_weights_and_data_per_cell_and_not_per_seed() -> None:
    for seeding, are_alike in (("per_cell", False), ("per_seed", True)):
        one, two = (
            Trial(replace(shrink_trial(batch_size=size, data=AUGMENTED, epochs=1), seeding=seeding))
            for size in (4, 12)
        )
        for path in ("conv1.weight", "stage2.0.shortcut.0.weight", "fc.weight"):
            found = torch.equal(one.model.get_parameter(path), two.model.get_parameter(path))
            assert found is are_alike, (seeding, path)
        assert torch.equal(seen_by_first_layer(one), seen_by_first_layer(two)) is are_alike


def plain_epochs(spec: TrialSpec) -> Iterator[tuple[float, float, dict[str, Tensor]]]:
    """The training loop in its textbook form: one batch, one step, one reading at a time."""
    trial = Trial(spec)
    settings = spec.train.optimizer
    optimizer = torch.optim.SGD(
        trial.model.parameters(),
        lr=settings.lr,
        momentum=settings.momentum,
        weight_decay=settings.weight_decay,
        foreach=False,
    )
    scheduler = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, spec.train.epochs)
    for epoch in range(1, spec.train.epochs + 1):
        stretches = training_chunks(
            trial.dataset, batch_size=1, augment="none", seed=spec.seed, epoch=epoch
        )
        examples = [
            (x, y) for images, labels in stretches for x, y in zip(images, labels, strict=True)
        ]
        losses, wrong = [], []
        trial.model.train()
        for start in range(0, len(examples) - spec.batch_size + 1, spec.batch_size):
            batch = examples[start : start + spec.batch_size]
            images, labels = (torch.stack(column) for column in zip(*batch, strict=True))
            logits = trial.model(images)
            loss = F.cross_entropy(logits, labels)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
            wrong += (logits.argmax(1) != labels).tolist()
        scheduler.step()
        yield (
            sum(losses) / len(losses),
            100 * sum(wrong) / len(wrong),
            dict(trial.model.named_parameters()),
        )


@pytest.mark.parametrize("batch_size", [2, 8, 33])
def test_training_is_the_textbook_loop(batch_size: int) -> None:
    spec = shrink_trial(batch_size=batch_size, schedule=COSINE, lr=1e-3, weight_decay=0.1)
    trial = Trial(spec)
    expected = plain_epochs(spec)
    for number, (loss, error, weights) in enumerate(expected, start=1):
        metrics = trial.run_epoch()
        assert metrics.train_loss == pytest.approx(loss, rel=1e-4)
        assert metrics.train_error == pytest.approx(error)
        assert metrics.epoch == number
        assert metrics.num_updates == number * (100 // batch_size)
        assert metrics.lr == pytest.approx([1e-3, 5e-4][number - 1])
        found = dict(trial.model.named_parameters())
        torch.testing.assert_close(found, weights, rtol=1e-3, atol=1e-4)


def test_training_learns_and_the_best_error_is_remembered() -> None:
    spec = shrink_trial(batch_size=4, epochs=6, data=DataSpec(name="digits", num_train=200))
    epochs = list(train(spec))
    assert [metrics.epoch for metrics in epochs] == [1, 2, 3, 4, 5, 6]
    assert epochs[-1].test_error < 30
    errors = [metrics.test_error for metrics in epochs]
    best = list(itertools.accumulate(errors, min))
    assert [metrics.best_test_error for metrics in epochs] == best


def test_a_loss_that_is_not_finite_ends_the_trial_at_its_step() -> None:
    trial = Trial(shrink_trial(batch_size=8))
    trial.run_epoch()
    calls = itertools.count(1)

    def spoil(_layer: nn.Module, _inputs: object, logits: Tensor) -> Tensor:
        return logits * math.nan if next(calls) == 5 else logits

    trial.model.fc.register_forward_hook(spoil)  # type: ignore[union-attr]
    with pytest.raises(Diverged, match="not finite at step 5 of epoch 2") as caught:
        trial.run_epoch()
    assert (caught.value.epoch, caught.value.step) == (2, 5)
    assert trial.epoch == 1


def test_a_diverged_trial_ends_within_a_stretch() -> None:
    trial = Trial(shrink_trial(batch_size=1, data=DataSpec(name="digits"), lr=1e30))
    steps: list[int] = []
    trial.model.register_forward_hook(lambda *_: steps.append(1) and None)
    with pytest.raises(Diverged):
        trial.run_epoch()
    assert len(steps) <= 100


def test_weights_that_are_not_finite_end_the_trial() -> None:
    # One step an epoch: its loss is finite, and the weights after it are not.
    trial = Trial(shrink_trial(batch_size=100, lr=1e300))
    with pytest.raises(Diverged, match="a weight is not finite after epoch 1"):
        trial.run_epoch()


def test_a_large_loss_is_no_divergence() -> None:
    trial = Trial(shrink_trial(epochs=1, lr=1e-6))
    with torch.no_grad():
        trial.model.fc.weight.mul_(1e6)  # type: ignore[union-attr,operator]
    assert trial.run_epoch().train_loss > 1e3


def test_what_cannot_be_trained_is_refused_before_it_starts() -> None:
    with pytest.raises(Infeasible, match="batch_size <= num_train"):
        Trial(shrink_trial(batch_size=101))


def test_a_small_trial_loads_no_compiler() -> None:
    # Each takes longer to import than the quickstart's trials take to train.
    program = (
        "import sys; from trial_specs import shrink_trial; from trainables import train; "
        "list(train(shrink_trial(epochs=1))); "
        "print({'torch._dynamo', 'torchvision', 'sklearn', 'scipy'} & set(sys.modules))"
    )
    path = os.pathsep.join(filter(None, sys.path))
    environment = {**os.environ, "PYTHONPATH": path}
    command = [sys.executable, "-c", program]
    result = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    assert result.stdout == "set()\n"
