import io

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st
from torch import nn
from trial_specs import shrink_trial, with_train

from trainables import Infeasible, Trial, check_feasibility
from trainables.data.load import Dataset, Split
from trainables.evaluate import eval_batch_size, evaluate
from trainables.spec import ModelSpec


def test_large_batches_unless_the_test_batch_matters() -> None:
    ema = shrink_trial("batchnorm", batch_size=4)
    by_batch = shrink_trial("batchnorm", batch_size=4, options={"eval_statistics": "batch"})
    for spec, expected in ((ema, 512), (by_batch, 4)):
        model = Trial(spec).model
        assert eval_batch_size(model, spec) == expected
        assert eval_batch_size(model, with_train(spec, eval_batch_size=6)) == 6
    assert eval_batch_size(nn.Linear(1, 1), by_batch) == 512


def test_loss_and_error_are_means_over_all_examples() -> None:
    trial = Trial(shrink_trial("groupnorm", options={"num_groups": 2}))
    result = evaluate(trial.model, trial.dataset, batch_size=7)[0]
    test = trial.dataset.test
    with torch.no_grad():
        logits = [trial.model(trial.dataset.standardise(image[None]))[0] for image in test.images]
    scores = torch.stack(logits).double().numpy()
    labels = test.labels.numpy()
    log_sum = np.log(np.exp(scores).sum(1))
    expected = np.mean(log_sum - scores[np.arange(30), labels])
    assert result.loss == pytest.approx(expected, rel=1e-5)
    assert result.error == pytest.approx(100 * np.mean(scores.argmax(1) != labels))
    assert result.correct.tolist() == (scores.argmax(1) == labels).tolist()
    assert result.top5_error is None  # ten classes


@pytest.mark.parametrize("batch_size", [1, 4, 7, 30, 64])
def test_batch_statistics_are_those_of_batches_of_the_training_size(batch_size: int) -> None:
    spec = shrink_trial(
        "batchnorm", batch_size=batch_size, options={"eval_statistics": "batch"}, epochs=1
    )
    trial = Trial(spec)
    loss = evaluate(trial.model, trial.dataset, batch_size=batch_size)[0].loss
    # In training mode batch normalization uses exactly the statistics of its batch.
    model, images = trial.model.train(), trial.dataset.standardise(trial.dataset.test.images)
    losses = []
    with torch.no_grad():
        for start in range(0, 30, batch_size):
            members = [i % 30 for i in range(start, start + batch_size)]
            counted = min(batch_size, 30 - start)
            logits = model(images[members])[:counted]
            labels = trial.dataset.test.labels[members][:counted]
            losses += F.cross_entropy(logits, labels, reduction="none").tolist()
    assert loss == pytest.approx(np.mean(losses), rel=1e-5)


def test_evaluation_changes_no_state() -> None:
    trial = Trial(shrink_trial("renorm_debias"))
    before = {key: value.clone() for key, value in trial.model.state_dict().items()}
    evaluate(trial.model, trial.dataset, batch_size=8)
    for key, value in trial.model.state_dict().items():
        assert torch.equal(value, before[key]), key


def test_statistics_are_recorded_side_by_side() -> None:
    every = ("ema", "precise", "batch")
    spec = with_train(shrink_trial(batch_size=10, epochs=1), eval_statistics=every)
    trial = Trial(spec)
    metrics = trial.run_epoch()
    assert metrics.extra.keys() == {f"test_error_{way}" for way in every}
    assert metrics.extra["test_error_ema"] == metrics.test_error
    found = {way: metrics.extra[f"test_error_{way}"] for way in every}
    assert found == errors_in_each_way(trial)
    # In training mode batch normalization uses exactly the statistics of its batch.
    labels = trial.dataset.test.labels
    images = trial.dataset.standardise(trial.dataset.test.images)
    with torch.no_grad():
        guesses = torch.cat([trial.model.train()(x).argmax(1) for x in images.split(10)])
    wrong = 100 * (guesses != labels).double().mean().item()
    assert metrics.extra["test_error_batch"] == pytest.approx(wrong)
    # The 100 training images are one large batch: precise statistics are those of all of them.
    train = trial.dataset.standardise(trial.dataset.train.images)
    with torch.no_grad():
        first = trial.model.conv1(train)  # type: ignore[operator]
    norm = trial.model.norm1
    torch.testing.assert_close(norm.precise_mean, first.mean((0, 2, 3)))  # type: ignore[union-attr,arg-type]
    torch.testing.assert_close(norm.precise_var, first.var((0, 2, 3)))  # type: ignore[union-attr,arg-type]


def errors_in_each_way(trial: Trial) -> dict[str, float]:
    """The errors that a model reaches which was built for one way of testing alone."""
    found = {}
    for way in ("ema", "precise", "batch"):
        other = Trial(shrink_trial(batch_size=10, epochs=1, options={"eval_statistics": way}))
        other.model.load_state_dict(trial.model.state_dict())
        size = eval_batch_size(other.model, other.spec)
        found[way] = evaluate(other.model, other.dataset, batch_size=size)[0].error
    return found


@pytest.mark.parametrize(
    ("norm", "offered"), [("groupnorm", set()), ("batchrenorm", {"ema", "batch"})]
)
def test_only_what_a_norm_offers_is_recorded(norm: str, offered: set[str]) -> None:
    spec = shrink_trial(norm, epochs=1)
    metrics = Trial(with_train(spec, eval_statistics=("ema", "precise", "batch"))).run_epoch()
    assert metrics.extra.keys() == {f"test_error_{way}" for way in offered}


def test_precise_statistics_may_be_the_trials_own() -> None:
    spec = shrink_trial(options={"eval_statistics": "precise"}, epochs=1)
    check_feasibility(spec)
    metrics = Trial(with_train(spec, eval_statistics=("precise",))).run_epoch()
    assert metrics.extra == {"test_error_precise": metrics.test_error}


def test_a_test_batch_that_a_norm_cannot_take_is_refused() -> None:
    on_one_pixel = ModelSpec(name="resnet18", stem="imagenet")
    spec = with_train(shrink_trial(batch_size=8, model=on_one_pixel), eval_statistics=("batch",))
    check_feasibility(spec)
    with pytest.raises(Infeasible, match=r"shape \(1, 128, 1, 1\) in testing"):
        check_feasibility(with_train(spec, eval_batch_size=1))


class LooksUp(nn.Module):
    """Logits by the number that an image's first pixel shows."""

    def __init__(self, logits: torch.Tensor) -> None:
        super().__init__()
        self.logits = logits

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return self.logits[images[:, 0, 0, 0].long()]


@given(num_classes=st.integers(18, 30), seed=st.integers(0, 99))
def test_the_top5_error_counts_labels_below_the_fifth_place(num_classes: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    scores = rng.permuted(np.tile(np.arange(num_classes), (50, 1)), axis=1).astype(np.float32)
    labels = rng.integers(0, num_classes, 50)
    images = torch.arange(50, dtype=torch.uint8)[:, None, None, None].expand(50, 1, 8, 8)
    split = Split(images=images, labels=torch.from_numpy(labels))
    dataset = Dataset(split, split, torch.zeros(1, 1, 1, 1), torch.ones(1, 1, 1, 1), num_classes)
    result = evaluate(LooksUp(torch.from_numpy(scores)), dataset, batch_size=7)[0]
    better = (scores > scores[np.arange(50), labels][:, None]).sum(1)
    assert result.error == pytest.approx(100 * np.mean(better > 0))
    if num_classes < 20:
        assert result.top5_error is None
    else:
        assert result.top5_error == pytest.approx(100 * np.mean(better >= 5))


def test_which_examples_were_right_is_kept_in_bits() -> None:
    trial = Trial(shrink_trial(epochs=1))
    with pytest.raises(ValueError, match="none has run"):
        trial.correct_bits()
    metrics = trial.run_epoch()
    packed = np.load(io.BytesIO(trial.correct_bits()))
    assert packed.nbytes == 4  # 30 test examples
    assert 100 * np.mean(np.unpackbits(packed, count=30) == 0) == pytest.approx(metrics.test_error)
