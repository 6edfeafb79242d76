import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn
from trial_specs import small_spec

from trainables import Trial
from trainables.evaluate import eval_batch_size, evaluate


def test_large_batches_unless_the_test_batch_matters() -> None:
    ema = Trial(small_spec("batchnorm")).model
    by_batch = Trial(small_spec("batchnorm", options={"eval_statistics": "batch"})).model
    assert eval_batch_size(ema, 4) == 512
    assert eval_batch_size(by_batch, 4) == 4
    assert eval_batch_size(nn.Linear(1, 1), 4) == 512


def test_loss_and_error_are_means_over_all_examples() -> None:
    trial = Trial(small_spec("groupnorm", options={"num_groups": 2}))
    loss, error = evaluate(trial.model, trial.dataset, training_batch_size=7)
    test = trial.dataset.test
    with torch.no_grad():
        logits = [trial.model(trial.dataset.standardise(image[None]))[0] for image in test.images]
    scores = torch.stack(logits).double().numpy()
    labels = test.labels.numpy()
    log_sum = np.log(np.exp(scores).sum(1))
    assert loss == pytest.approx(np.mean(log_sum - scores[np.arange(30), labels]), rel=1e-5)
    assert error == pytest.approx(100 * np.mean(scores.argmax(1) != labels))


@pytest.mark.parametrize("batch_size", [1, 4, 7, 30, 64])
def test_batch_statistics_are_those_of_batches_of_the_training_size(batch_size: int) -> None:
    spec = small_spec(
        "batchnorm", batch_size=batch_size, options={"eval_statistics": "batch"}, epochs=1
    )
    trial = Trial(spec)
    loss, _ = evaluate(trial.model, trial.dataset, training_batch_size=batch_size)
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
    evaluate(trial.model, trial.dataset, training_batch_size=8)
    for key, value in trial.model.state_dict().items():
        assert torch.equal(value, before[key]), key
