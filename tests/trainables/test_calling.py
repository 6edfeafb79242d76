"""However a model calls its layers, it is tried, judged and trained."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

import pytest
import torch
from trial_specs import shrink_trial, with_train

import trainables
from trainables import Infeasible, Trial
from trainables.inspection import find_model_warnings
from trainables.models.catalog import complete_model_spec, complete_new_model_spec
from trainables.spec import ModelSpec, TrialSpec


def own(name: str, norm: str = "groupnorm", **model: Any) -> TrialSpec:
    options = {"num_groups": 2} if norm.startswith("groupnorm") else {}
    return shrink_trial(
        norm, options=options, epochs=1, model=ModelSpec(name=f"calling_models:{name}", **model)
    )


@pytest.mark.parametrize(
    "name",
    [
        "TakesAList",
        "Attention",
        "SkipsBlocks",
        "Checkpointed",
        "CallsForward",
        "SetsForward",
        "Recovers",
    ],
)
@pytest.mark.parametrize("norm", ["groupnorm", "groupnorm_ws"])
def test_it_is_found_feasible_and_trained(name: str, norm: str) -> None:
    trainables.check_feasibility(own(name, norm))
    assert find_model_warnings(own(name, norm)) == []
    assert Trial(own(name, norm), device="cpu").run_epoch().epoch == 1


def test_torchvisions_densenet_is_feasible_and_trained() -> None:
    trainables.check_feasibility(own("densenet"))
    assert find_model_warnings(own("densenet")) == []
    assert len(Trial(own("densenet"), device="cpu").norms) == 11


def test_a_model_that_calls_no_layer_of_the_norm_is_refused_in_a_line() -> None:
    expected = "model 'calling_models:NeverCalls' never calls norm1: all norms would be one network"
    with pytest.raises(Infeasible, match=re.escape(expected)):
        trainables.check_feasibility(own("NeverCalls"))


def test_layers_that_the_norm_does_not_decide_are_named_with_their_paths() -> None:
    trainables.check_feasibility(own("HalfSwapped"))
    assert find_model_warnings(own("HalfSwapped")) == [
        "model 'calling_models:HalfSwapped': bn (BatchNorm2d), final.0 (GroupNorm) were not built "
        "with norm(num_channels), and stay the same whatever the norm",
        "model 'calling_models:HalfSwapped': norm2 was built with norm(num_channels) and never "
        "called",
    ]
    assert find_model_warnings(shrink_trial()) == []


def test_a_lazy_layer_is_refused_before_training() -> None:
    with pytest.raises(Infeasible, match=r"has a lazy layer: fc\.weight has no shape before"):
        trainables.check_feasibility(own("Lazy"))


def test_a_layer_inside_a_norm_can_be_watched() -> None:
    trainables.check_feasibility(
        with_train(own("Base", "probe_norms:WithLinear"), watch="norm1.gate")
    )


def test_a_layer_that_returns_one_tensor_in_a_tuple_is_watched() -> None:
    spec = with_train(own("Attention"), watch="attention")
    trainables.check_feasibility(spec)
    assert "activation_variance" in Trial(spec, device="cpu").run_epoch().extra


@pytest.mark.parametrize(
    ("model", "watch", "expected"),
    [
        ("Attention", "cell", "watch='cell', which returns 3 (tuple): name a layer behind it"),
        ("Base", "norm9", "must name a layer of the model"),
        ("HalfSwapped", "norm2", "watch='norm2', which it never calls"),
        ("HalfSwapped", "norm3", "must name a layer of the model, but got watch='norm3'"),
    ],
)
def test_a_layer_that_cannot_be_watched_is_refused(model: str, watch: str, expected: str) -> None:
    with pytest.raises(ValueError, match=re.escape(expected)):
        trainables.check_feasibility(with_train(own(model), watch=watch))


def weights(spec: TrialSpec) -> dict[str, torch.Tensor]:
    return dict(Trial(spec, device="cpu").model.named_parameters())


def test_a_model_of_ones_own_keeps_its_initial_weights_under_the_seed() -> None:
    spec = own("OwnWeights", initial_weights="own")
    kept = weights(spec)
    rows = kept["conv2.weight"].detach().flatten(1).double()
    torch.testing.assert_close(rows @ rows.T, torch.eye(8).double(), atol=1e-5, rtol=0)
    assert not kept["fc.weight"].any()
    assert torch.equal(kept["fc.bias"], torch.full((10,), -2.0))
    assert torch.equal(weights(spec)["conv1.weight"], kept["conv1.weight"])
    others = weights(replace(spec, norm=shrink_trial("batchnorm").norm))
    assert torch.equal(others["conv2.weight"], kept["conv2.weight"])
    assert not torch.equal(weights(replace(spec, seed=1))["conv1.weight"], kept["conv1.weight"])


@pytest.mark.filterwarnings("error")
def test_pretrained_weights_stay() -> None:
    spec = own("Pretrained", initial_weights="own")
    trainables.check_feasibility(spec)
    assert weights(spec)["conv1.weight"].unique().tolist() == [0.25]


def test_initial_weights_that_depend_on_the_norm_are_named() -> None:
    spec = own("Walks", "probe_norms:WithLinear", initial_weights="own")
    (line,) = find_model_warnings(spec)
    assert "probe_norms:WithLinear: a seed gives conv2.weight, fc.weight other initial" in line
    assert find_model_warnings(own("Walks", initial_weights="own")) == []
    assert find_model_warnings(own("Walks", "probe_norms:WithLinear")) == []


def test_replacing_them_is_what_trials_of_before_did() -> None:
    before = own("OwnWeights")
    asked = own("OwnWeights", initial_weights="replaced")
    for name, value in weights(before).items():
        assert torch.equal(weights(asked)[name], value)
    assert weights(before)["fc.weight"].any()
    assert complete_new_model_spec(asked.model) == before.model
    assert complete_new_model_spec(before.model).initial_weights == "own"
    assert replace(before, model=complete_new_model_spec(before.model)).trial_id != before.trial_id
    assert replace(before, model=complete_new_model_spec(asked.model)).trial_id == before.trial_id
    with pytest.raises(ValueError, match="model resnet8 has no option initial_weights"):
        complete_model_spec(ModelSpec(name="resnet8", initial_weights="own"))
