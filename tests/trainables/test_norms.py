import probe_norms
import pytest
import torch
from trial_specs import shrink_trial

import normmods
from trainables.errors import Infeasible
from trainables.norms import SeededNorms
from trainables.spec import NormSpec


def test_layers_draw_from_streams_of_their_own() -> None:
    def weights(seed: int, prelude: int) -> list[torch.Tensor]:
        torch.rand(prelude)
        norms = SeededNorms(NormSpec(name="probe_norms:WithLinear"), seed=seed)
        return [norms(4).gate.weight for _ in range(2)]  # type: ignore[union-attr,misc]

    before = torch.get_rng_state()
    first, second = weights(0, 0)
    assert torch.equal(torch.get_rng_state(), before)
    assert torch.equal(first, weights(0, 5)[0])
    assert not torch.equal(first, second)
    assert not torch.equal(first, weights(1, 0)[0])


def test_layers_are_remembered_in_order() -> None:
    norms = SeededNorms(shrink_trial("groupnorm", options={"num_groups": 2}).norm, seed=0)
    layers = [norms(2), norms(4)]
    assert norms.built == layers
    assert isinstance(layers[0], normmods.GroupNorm)


def test_a_layer_that_cannot_be_built_names_the_channels() -> None:
    norms = SeededNorms(NormSpec(name="probe_norms:Explodes"), seed=0)
    norms(4)
    expected = "cannot be built for 8 channels: RuntimeError: too many channels for me"
    with pytest.raises(Infeasible, match=expected):
        norms(8)


def test_a_function_that_forgets_to_return_its_layer_is_refused(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(probe_norms, "Explodes", lambda num_channels: None)
    norms = SeededNorms(NormSpec(name="probe_norms:Explodes"), seed=0)
    expected = "for 8 channels: TypeError: expected a torch.nn.Module, found NoneType"
    with pytest.raises(Infeasible, match=expected):
        norms(8)


def test_a_layer_whose_form_without_activation_is_none_is_refused(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    class Forgets(torch.nn.BatchNorm2d):
        def without_activation(self) -> None:
            self.activation = False

    monkeypatch.setattr(probe_norms, "Explodes", Forgets)
    norms = SeededNorms(NormSpec(name="probe_norms:Explodes"), seed=0)
    norms(8)
    with pytest.raises(Infeasible, match=r"without_activation\(\) returned NoneType"):
        norms.without_activation(8)


def test_a_mistyped_option_is_the_registrys_error() -> None:
    with pytest.raises(normmods.NormError, match="epz"):
        SeededNorms(NormSpec(name="groupnorm", options={"epz": 1.0}), seed=0)(4)


def test_a_norm_takes_the_number_of_channels_alone() -> None:
    norms = SeededNorms(NormSpec(name="batchnorm"), seed=0)
    norms(num_channels=8)
    for call in (norms, norms.without_activation):
        with pytest.raises(Infeasible, match=r"norm\(4, 8\), but .*: \{name: batchnorm, option: …"):
            call(4, 8)
        with pytest.raises(Infeasible, match="norm takes the number of channels alone"):
            call(num_features=8)
        with pytest.raises(Infeasible, match="norm takes the number of channels alone"):
            call()
    assert len(norms.built) == 1


def test_a_norm_with_a_lazy_layer_is_refused() -> None:
    with pytest.raises(Infeasible, match=r"^probe_norms:Lazy has a lazy layer: 0\.weight has no"):
        SeededNorms(NormSpec(name="probe_norms:Lazy"), seed=0)(4)
    report = normmods.check_norm("probe_norms:Lazy", num_channels=8)
    (found,) = (p for p in report.properties if p.name == "parameters_added")
    assert "build the lazy layer with its number of channels" in str(found)


def test_a_layer_already_built_is_no_norm() -> None:
    expected = (
        r"probe_norms:built is a module already built \(BatchNorm2d\); name its class, or a f"
    )
    for asked in (normmods.options, normmods.check_norm):
        with pytest.raises(normmods.NormError, match=expected):
            asked("probe_norms:built")
