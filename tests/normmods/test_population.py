from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import normmods


def small_net(**options: str) -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(3, 4, 3, bias=False),
        normmods.build("batchnorm", 4, **options),
        nn.ReLU(),
        nn.Dropout(0.5),
        nn.Conv2d(4, 5, 3, bias=False),
        normmods.build("batchnorm", 5, **options),
    ).double()


def batches() -> list[Tensor]:
    generator = torch.Generator().manual_seed(1)
    return [
        torch.randn(size, 3, 7, 7, generator=generator, dtype=torch.float64) * size + size
        for size in (6, 4, 1)
    ]


def test_precise_statistics_are_those_of_all_values_pooled() -> None:
    net = small_net()
    normmods.recompute_precise(net, batches())
    first, second = [], []
    for batch in batches():
        hidden = net[0](batch)
        first.append(hidden)
        hidden = nn.functional.batch_norm(hidden, None, None, training=True).relu()
        second.append(net[4](hidden))
    for layer, seen in ((net[1], first), (net[5], second)):
        values = np.concatenate(
            [x.detach().numpy().swapaxes(0, 1).reshape(x.shape[1], -1) for x in seen], 1
        )
        np.testing.assert_allclose(layer.precise_mean, values.mean(1), rtol=1e-10)
        np.testing.assert_allclose(layer.precise_var, values.var(1, ddof=1), rtol=1e-10)
        assert int(layer.precise_count) == values.shape[1]


def test_recomputing_touches_nothing_else() -> None:
    net = small_net().train()
    net[1].eval()
    before = {key: value.clone() for key, value in net.state_dict().items()}
    random_state = torch.get_rng_state()
    normmods.recompute_precise(net, batches())
    assert torch.equal(torch.get_rng_state(), random_state)
    changed = {
        key for key, value in net.state_dict().items() if not torch.equal(value, before[key])
    }
    assert changed == {f"{i}.precise_{what}" for i in (1, 5) for what in ("mean", "var", "count")}
    assert [module.training for module in net] == [True, False, True, True, True, True]
    assert {net[1].eval_statistics, net[5].eval_statistics} == {"ema"}


def test_each_choice_gives_its_own_output_and_is_undone() -> None:
    net = small_net().train()
    for batch in batches():
        net(batch)
    normmods.recompute_precise(net, batches())
    net.eval()
    outputs = {}
    for choice in normmods.eval_choices(net):
        with normmods.using_eval_statistics(net, choice):
            outputs[choice] = net(batches()[0])
    assert set(outputs) == {"ema", "precise", "batch"}
    assert torch.equal(net(batches()[0]), outputs["ema"])
    expected = nn.functional.batch_norm(
        net[0](batches()[0]), net[1].precise_mean, net[1].precise_var
    )
    with normmods.using_eval_statistics(net, "precise"):
        torch.testing.assert_close(net[1](net[0](batches()[0])), expected)
    pairs = [("ema", "precise"), ("ema", "batch"), ("precise", "batch")]
    assert all(not torch.allclose(outputs[a], outputs[b]) for a, b in pairs)


def test_what_cannot_be_had_is_refused() -> None:
    net = small_net(eval_statistics="precise").eval()
    with pytest.raises(ValueError, match="recompute_precise"):
        net(batches()[0])
    with pytest.raises(ValueError, match="at least one batch"):
        normmods.recompute_precise(net, [])
    renorm, group = normmods.build("batchrenorm", 4), normmods.build("groupnorm", 4)
    with (
        pytest.raises(ValueError, match="choice='precise': it offers ema, batch"),
        normmods.using_eval_statistics(renorm, "precise"),
    ):
        pass
    with (
        pytest.raises(ValueError, match="it offers none"),
        normmods.using_eval_statistics(group, "batch"),
    ):
        pass


def test_a_model_offers_what_all_its_layers_offer() -> None:
    mixed = nn.Sequential(normmods.build("batchnorm", 4), normmods.build("renorm_debias", 4))
    assert normmods.eval_choices(mixed) == ("ema", "batch")
    assert normmods.eval_choices(nn.Conv2d(3, 4, 3)) == ()
    normmods.recompute_precise(nn.Conv2d(3, 4, 3), [])
