import pytest
import torch
from trial_specs import small_spec

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
    norms = SeededNorms(small_spec("groupnorm", options={"num_groups": 2}).norm, seed=0)
    layers = [norms(2), norms(4)]
    assert norms.built == layers
    assert isinstance(layers[0], normmods.GroupNorm)


def test_a_layer_that_cannot_be_built_names_the_channels() -> None:
    norms = SeededNorms(NormSpec(name="probe_norms:Explodes"), seed=0)
    norms(4)
    expected = "cannot be built for 8 channels: RuntimeError: too many channels for me"
    with pytest.raises(Infeasible, match=expected):
        norms(8)


def test_a_mistyped_option_is_the_registrys_error() -> None:
    with pytest.raises(normmods.NormError, match="epz"):
        SeededNorms(NormSpec(name="groupnorm", options={"epz": 1.0}), seed=0)(4)
