import dataclasses

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor
from trial_specs import shrink_trial, with_train

from trainables import Trial, TrialSpec, check_feasibility
from trainables.data.batches import training_chunks
from trainables.spec import ModelSpec

STILL = 1e-30
"""A learning rate at which no weight moves, so that an epoch can be computed by hand."""


def batches(trial: Trial) -> list[tuple[Tensor, Tensor]]:
    size = trial.spec.batch_size
    return [
        (x, y)
        for images, labels in training_chunks(
            trial.dataset, batch_size=size, augment="none", seed=trial.spec.seed, epoch=1
        )
        for x, y in zip(torch.split(images, size), torch.split(labels, size), strict=True)
    ]


def test_the_gradients_norm_is_that_of_all_parameters_together() -> None:
    spec = with_train(shrink_trial("groupnorm", lr=STILL), extra_metrics=("gradient_norm",))
    trial, norms = Trial(spec), []
    for images, labels in batches(trial):
        trial.model.zero_grad()
        F.cross_entropy(trial.model(images), labels).backward()
        grads = [p.grad.flatten() for p in trial.model.parameters() if p.grad is not None]
        norms.append(torch.cat(grads).norm().item())
    trial = Trial(spec)
    assert trial.run_epoch().extra == {"gradient_norm": pytest.approx(sum(norms) / len(norms))}


def test_a_watched_layers_moments_are_those_of_all_its_values() -> None:
    model = ModelSpec(name="allcnn", width=6)
    spec = with_train(shrink_trial(model=model, lr=STILL), watch="activation5")
    trial = Trial(spec)
    with torch.no_grad():
        values = torch.cat([trial.model.train()[:15](x) for x, _ in batches(trial)])  # type: ignore[index]
    assert [name for name, _ in trial.model.named_children()][14] == "activation5"
    found = Trial(spec).run_epoch().extra
    assert found == {
        "activation_mean": pytest.approx(values.mean().item(), rel=1e-5),
        "activation_variance": pytest.approx(values.var(correction=0).item(), rel=1e-4),
    }


@pytest.mark.parametrize("path", ["", "activation9"])
def test_a_layer_that_is_not_there_is_refused_with_those_that_are(path: str) -> None:
    spec = with_train(shrink_trial(), watch=path)
    for refuse in (check_feasibility, Trial):
        with pytest.raises(ValueError, match=r"must name a layer of the model.* activation1, "):
            refuse(spec)


def test_the_clipped_fraction_is_read_in_training_and_in_tests() -> None:
    options = {"r_max": 1.0, "d_max": 0.0}  # any correction but the first is clipped
    spec = shrink_trial("renorm_debias", options=options, batch_size=10, epochs=1)
    found = Trial(with_train(spec, extra_metrics=("clipped_fraction",))).run_epoch().extra
    assert found["clipped_fraction"] == pytest.approx(0.9)  # nine steps of ten
    assert found["test_clipped_fraction"] == 1.0
    wide = dataclasses.replace(spec.norm, options={"r_max": 1e9, "d_max": 1e9})
    spec = with_train(dataclasses.replace(spec, norm=wide), extra_metrics=("clipped_fraction",))
    assert Trial(spec).run_epoch().extra["clipped_fraction"] == 0.0


def test_norms_that_clip_nothing_record_no_fraction() -> None:
    spec = with_train(shrink_trial("groupnorm", epochs=1), extra_metrics=("clipped_fraction",))
    assert Trial(spec).run_epoch().extra == {}


@pytest.mark.parametrize("norm", ["batchnorm", "renorm_debias"])
def test_observing_changes_no_bit(norm: str) -> None:
    def weights(spec: TrialSpec) -> str:
        trial = Trial(spec)
        trial.run_epoch()
        return trial.weights_digest

    spec = shrink_trial(norm, epochs=1)
    observed = with_train(
        spec,
        extra_metrics=("gradient_norm", "clipped_fraction"),
        watch="stage2.0.activation1",
        threshold=50.0,
        eval_statistics=("ema", "batch"),
    )
    assert weights(observed) == weights(spec)
