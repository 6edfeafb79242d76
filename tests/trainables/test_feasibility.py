import dataclasses
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from trial_specs import shrink_trial, with_train

import normmods
from trainables import Dimensions, Infeasible, Trial, check_feasibility
from trainables.spec import DataSpec, ModelSpec, TrialSpec

WHOLE_DIGITS = DataSpec(name="digits")
ON_ONE_PIXEL = ModelSpec(name="resnet18", stem="imagenet")  # 8x8 digits reach 1x1 in layer2


def on_one_pixel(norm: str, *, batch_size: int = 2, **options: Any) -> TrialSpec:
    return shrink_trial(norm, batch_size=batch_size, options=options, model=ON_ONE_PIXEL)


def test_dimensions_are_those_of_the_trial() -> None:
    spec = shrink_trial(batch_size=8)
    assert check_feasibility(spec) == Trial(spec).dimensions
    assert check_feasibility(spec).updates_per_epoch == 12


def test_dimensions_of_a_large_model_need_no_data() -> None:
    spec = shrink_trial(
        "assocnorm", data=DataSpec(name="cifar100"), model=ModelSpec(name="resnet101")
    )
    # torchvision's count for 1000 classes, less 900 logits, the smaller stem, plus 104 norms
    # of 192 parameters.
    expected = 44_549_160 - 900 * 2049 - (49 - 9) * 3 * 64 + 104 * 192
    assert check_feasibility(spec) == Dimensions(
        num_classes=100,
        num_train=50_000,
        num_test=10_000,
        num_parameters=expected,
        updates_per_epoch=6250,
    )


@pytest.mark.parametrize("norm", normmods.names())
@pytest.mark.parametrize("batch_size", [1, 2, 64])
def test_every_norm_is_feasible_on_maps(norm: str, batch_size: int) -> None:
    check_feasibility(shrink_trial(norm, batch_size=batch_size))


@pytest.mark.parametrize(
    ("spec", "layer", "shape"),
    [
        (on_one_pixel("batchnorm", batch_size=1), "layer2.0.bn1 (BatchNorm)", "(1, 128, 1, 1)"),
        (
            on_one_pixel("probe_norms:NamesItsInput", batch_size=1),
            "layer2.0.bn1 (NamesItsInput)",
            "(1, 128, 1, 1)",
        ),
        (on_one_pixel("instancenorm"), "layer2.0.bn1 (InstanceNorm)", "(2, 128, 1, 1)"),
        (
            on_one_pixel("torch.nn:BatchNorm2d", batch_size=1),
            "layer2.0.bn1 (BatchNorm2d)",
            "(1, 128, 1, 1)",
        ),
        (
            on_one_pixel("torch.nn:InstanceNorm2d"),
            "layer2.0.bn1 (InstanceNorm2d)",
            "(2, 128, 1, 1)",
        ),
    ],
)
def test_a_layer_with_one_value_a_statistic_is_named(
    spec: TrialSpec, layer: str, shape: str
) -> None:
    expected = re.escape(f"{layer} cannot take an input of shape {shape} in training: ValueError: ")
    with pytest.raises(Infeasible, match=expected) as caught:
        check_feasibility(spec)
    assert "\n" not in str(caught.value)


def test_a_layer_that_silently_returns_its_bias_is_named() -> None:
    with pytest.raises(Infeasible) as caught:
        check_feasibility(on_one_pixel("probe_norms:GroupOfOne"))
    assert str(caught.value) == (
        "layer2.0.bn1 (GroupOfOne) returns the same for every input of shape (2, 128, 1, 1): "
        "each of its statistics is taken over one value"
    )


@pytest.mark.parametrize(
    "spec",
    [
        on_one_pixel("batchnorm", batch_size=2),
        on_one_pixel("groupnorm", batch_size=1),
        on_one_pixel("layernorm", batch_size=1),
        on_one_pixel("assocnorm", batch_size=1),
    ],
    ids=lambda spec: spec.norm.name,
)
def test_one_pixel_with_several_values_a_statistic_is_feasible(spec: TrialSpec) -> None:
    check_feasibility(spec)


def test_a_layer_that_cannot_be_tested_is_named() -> None:
    with pytest.raises(Infeasible, match=r"\(OfItsGradient\) cannot take .* in testing: Runtime"):
        check_feasibility(shrink_trial("probe_norms:OfItsGradient"))


def test_a_norm_that_cannot_be_built_is_infeasible() -> None:
    with pytest.raises(Infeasible, match="Explodes cannot be built for 8 channels"):
        check_feasibility(shrink_trial("probe_norms:Explodes"))


@pytest.mark.parametrize("model", [ModelSpec(name="resnet8"), ModelSpec(name="resnet18")])
def test_a_norm_that_reads_values_is_run_on_the_cpu(model: ModelSpec) -> None:
    check_feasibility(shrink_trial("probe_norms:ReadsValues", model=model))
    with pytest.raises(Infeasible, match=re.escape("layer2.0.bn1 (ReadsValues)")):
        check_feasibility(on_one_pixel("probe_norms:ReadsValues", batch_size=1))


def test_a_batch_larger_than_the_training_set_is_infeasible() -> None:
    check_feasibility(shrink_trial(batch_size=100))
    with pytest.raises(Infeasible, match="`batch_size <= num_train` must hold"):
        check_feasibility(shrink_trial(batch_size=101))


@pytest.mark.parametrize(
    "spec",
    [
        shrink_trial("batchnorn"),
        shrink_trial("groupnorm", options={"epz": 1.0}),
        with_train(shrink_trial(), lr_scaling="linear"),
        dataclasses.replace(shrink_trial(), data=DataSpec(name="digit")),
        dataclasses.replace(shrink_trial(), model=ModelSpec(name="resnet9")),
    ],
)
def test_a_mistake_is_not_an_infeasible_cell(spec: TrialSpec) -> None:
    with pytest.raises(ValueError, match=r"\w") as caught:
        check_feasibility(spec)
    assert not isinstance(caught.value, Infeasible)
    assert "\n" not in str(caught.value)


def test_a_large_batch_is_checked_without_arithmetic() -> None:
    # On the CPU this forward pass alone would take minutes and gigabytes.
    whole = DataSpec(name="fashion_mnist")
    check_feasibility(
        shrink_trial("groupnorm", batch_size=60_000, data=whole, model=ModelSpec(name="resnet8"))
    )


def test_a_small_network_is_checked_without_the_machinery_of_the_meta_device() -> None:
    # It takes seconds to import, and a first sweep's checks milliseconds.
    program = (
        "import sys, trainables; from trial_specs import shrink_trial; "
        "trainables.check_feasibility(shrink_trial('assocnorm', batch_size=64)); "
        "assert 'torch.fx.experimental.symbolic_shapes' not in sys.modules"
    )
    folders = [str(Path(__file__).parent), *sys.path]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(folders)}
    subprocess.run([sys.executable, "-c", program], check=True, env=environment)


def test_check_leaves_the_global_generator_as_it_was() -> None:
    before = torch.get_rng_state()
    check_feasibility(shrink_trial("assocnorm"))
    check_feasibility(shrink_trial("probe_norms:ReadsValues"))
    assert torch.equal(torch.get_rng_state(), before)
