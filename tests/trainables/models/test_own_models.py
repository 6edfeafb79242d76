from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

import pytest
import torch
from probe_models import net
from torch import nn
from trial_specs import shrink_trial

import trainables
from trainables import Infeasible, Trial
from trainables.models.catalog import complete_model_spec
from trainables.spec import ModelSpec, TrialSpec, spec_from_dict, spec_to_dict


def own(name: str, norm: str = "groupnorm", **options: Any) -> TrialSpec:
    return shrink_trial(
        norm,
        options={"num_groups": 2} if norm == "groupnorm" else {},
        model=ModelSpec(name=f"probe_models:{name}", options=options),
    )


def digest(spec: TrialSpec) -> str:
    trial = Trial(spec, device="cpu")
    while not trial.finished:
        trial.run_epoch()
    return trial.weights_digest


@pytest.mark.parametrize("name", ["net", "Scaled", "ReadsValues"])
def test_an_own_model_is_checked_and_trained_like_any_other(name: str) -> None:
    spec = own(name, width=6)
    sizes = trainables.check_feasibility(spec)
    trial = Trial(spec, device="cpu")
    assert sizes == trial.dimensions
    assert len(trial.norms) == 1
    reference = net(in_channels=1, num_classes=10, norm=nn.BatchNorm2d, width=6)
    extra = 0 if name == "net" else 10
    assert sizes.num_parameters == sum(p.numel() for p in reference.parameters()) + extra
    assert digest(spec) == digest(spec)


def test_the_seed_decides_every_weight_and_the_norm_none_of_the_others() -> None:
    def weights(spec: TrialSpec) -> dict[str, torch.Tensor]:
        return dict(Trial(spec, device="cpu").model.state_dict())

    one, other = weights(own("Scaled")), weights(own("Scaled", "batchnorm"))
    shared = [name for name in one if name in other and not name.startswith("inner.1.")]
    assert {"scale", "inner.0.weight", "inner.5.weight"} <= set(shared)
    assert all(torch.equal(one[name], other[name]) for name in shared)
    reseeded = weights(replace(own("Scaled"), seed=1))
    assert not torch.equal(one["scale"], reseeded["scale"])


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("no_norm", "has no norm in it: build each of its normalization layers with norm(num_"),
        ("one_logit_more", "returns shape (8, 11); expected logits of shape (8, 10) for 8 images"),
        ("Pair", "returns tuple; expected logits of shape (8, 10)"),
        ("Decided", "returns torch.int64; expected logits"),
        ("norm_as_a_layer", "; norm is no layer: call norm(num_channels)"),
        ("no_module", "expected a torch.nn.Module, found str"),
        (
            "raising",
            "cannot be built for in_channels=1 and num_classes=10: RuntimeError: only 3 channels "
            "please, not 1",
        ),
        (
            "Luck",
            "has other initial values in scale each time that it is built with one seed: draw",
        ),
        ("Growing", "has other layers each time that it is built"),
    ],
)
def test_what_is_no_such_model_is_infeasible(name: str, expected: str) -> None:
    with pytest.raises(Infeasible) as caught:
        trainables.check_feasibility(own(name))
    assert str(caught.value).startswith(f"model 'probe_models:{name}'")
    assert expected in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        (
            "with_an_option",
            "the model calls norm(8, eps=0.001), but norm takes the number of channels alone; "
            "options of the norm stand in the grid: {name: groupnorm, eps: …}",
        ),
        (
            "of_colours",
            "0 (Conv2d) expects 3 channels and got 1: build the layer with `in_channels`",
        ),
        ("of_other_features", "3 (Linear) expects 16 features and got 8: build the layer for 8"),
    ],
)
def test_what_a_models_author_overlooked_is_told_with_the_remedy(name: str, expected: str) -> None:
    with pytest.raises(Infeasible, match=f"^{re.escape(expected)}"):
        trainables.check_feasibility(own(name))


def test_a_layer_that_does_not_fit_the_images_is_named() -> None:
    with pytest.raises(Infeasible, match=r"^0 \(Conv2d\) cannot take an input of shape \(8, 1, 8"):
        trainables.check_feasibility(own("too_large"))


def test_a_norms_own_refusal_stays_the_norms() -> None:
    spec = own("net", "probe_norms:Explodes", width=6)
    with pytest.raises(Infeasible, match=r"^probe_norms:Explodes cannot be built for 6 channels"):
        trainables.check_feasibility(spec)


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        (ModelSpec(name="nowhere_at_all:net"), "there is no module 'nowhere_at_all' on the import"),
        (ModelSpec(name="probe_models:nett"), "probe_models has no 'nett'; did you mean 'net'?"),
        (ModelSpec(name="probe_models:number"), "number is int, which cannot be called; name a cl"),
        (
            ModelSpec(name="probe_models:built"),
            "probe_models:built is a module already built (Linear); name its class, or a function "
            "that takes in_channels",
        ),
        (ModelSpec(name="probe_models:"), "expected 'package.module:attr'"),
        (
            ModelSpec(name="probe_models:without_classes"),
            "takes no 'num_classes', but it is called",
        ),
        (ModelSpec(name="probe_models:needy"), "needs a value for its option 'depth'"),
        (
            ModelSpec(name="probe_models:net", options={"widht": 3}),
            "has no option 'widht'; did you mean 'width'? (its options are width)",
        ),
        (ModelSpec(name="probe_models:net", options={"norm": 3}), "has no option 'norm'"),
        (
            ModelSpec(name="probe_models:net", options={"width": "wide"}),
            "option 'width': expected a whole number such as 4, found 'wide'",
        ),
        (
            ModelSpec(name="probe_models:Scaled", options={"width": [3]}),
            "option 'width': expected a plain value, found [3]",
        ),
        (
            ModelSpec(name="probe_models:net", width=8),
            "no option width, but got width=8; those of your own model stand under `options`",
        ),
        (ModelSpec(name="resnet8", options={"depth": 3}), "model resnet8 has no `options`"),
        (ModelSpec(name="resnet9"), "a model of your own is 'package.module:attr'"),
    ],
)
def test_each_mistake_in_a_spec_has_its_own_line(spec: ModelSpec, expected: str) -> None:
    with pytest.raises(ValueError, match=re.escape(expected)) as caught:
        complete_model_spec(spec)
    assert "\n" not in str(caught.value)


def test_options_are_completed_and_part_of_the_identity() -> None:
    plain, stated = own("net"), own("net", width=4)
    assert complete_model_spec(plain.model).options == {"width": 4}
    assert complete_model_spec(plain.model) == complete_model_spec(stated.model)
    assert plain.custom_names == ("probe_models:net",)
    assert len({spec.trial_id for spec in (stated, own("net", width=5), shrink_trial())}) == 3
    assert spec_from_dict(spec_to_dict(stated)) == stated
