import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn
from trial_specs import small_spec, with_train

from trainables import Trial
from trainables.evaluate import eval_batch_size, evaluate


def test_large_batches_unless_the_test_batch_matters() -> None:
    ema = small_spec("batchnorm", batch_size=4)
    by_batch = small_spec("batchnorm", batch_size=4, options={"eval_statistics": "batch"})
    for spec, expected in ((ema, 512), (by_batch, 4)):
        model = Trial(spec).model
        assert eval_batch_size(model, spec) == expected
        assert eval_batch_size(model, with_train(spec, eval_batch_size=6)) == 6
    assert eval_batch_size(nn.Linear(1, 1), by_batch) == 512


def test_loss_and_error_are_means_over_all_examples() -> None:
    trial = Trial(small_spec("groupnorm", options={"num_groups": 2}))
    result = evaluate(trial.model, trial.dataset, batch_size=7)
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
    spec = small_spec(
        "batchnorm", batch_size=batch_size, options={"eval_statistics": "batch"}, epochs=1
    )
    trial = Trial(spec)
    loss = evaluate(trial.model, trial.dataset, batch_size=batch_size).loss
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
    trial = Trial(small_spec("renorm_debias"))
    before = {key: value.clone() for key, value in trial.model.state_dict().items()}
    evaluate(trial.model, trial.dataset, batch_size=8)
    for key, value in trial.model.state_dict().items():
        assert torch.equal(value, before[key]), key
