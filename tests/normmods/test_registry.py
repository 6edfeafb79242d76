from __future__ import annotations

import inspect
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import normmods
from normmods import errors
from normmods.norm import Norm

SEVEN = (
    "batchnorm",
    "groupnorm",
    "instancenorm",
    "layernorm",
    "batchrenorm",
    "renorm_debias",
    "assocnorm",
)


def test_the_seven_norms_of_the_papers_come_first() -> None:
    assert normmods.names()[:7] == SEVEN


@pytest.mark.parametrize("name", normmods.names())
def test_literal_options_are_those_of_the_signature(name: str) -> None:
    parameters = list(inspect.signature(normmods.load(name)).parameters.values())
    assert parameters[0].name == "num_channels"
    assert all(parameter.kind is parameter.KEYWORD_ONLY for parameter in parameters[1:])
    defaults = {parameter.name: parameter.default for parameter in parameters[1:]}
    listed = dict(normmods.options(name))
    assert listed == defaults
    assert [type(value) for value in listed.values()] == [type(v) for v in defaults.values()]


@pytest.mark.parametrize("name", normmods.names())
def test_every_layer_declares_what_it_is(name: str) -> None:
    layer = normmods.build(name, 8)
    assert isinstance(layer, Norm)
    assert isinstance(layer.batch_dependent, bool)
    assert isinstance(layer.replaces_activation, bool)


def test_options_and_names_load_no_torch() -> None:
    script = (
        "import sys, normmods, normmods.registry\n"
        "[normmods.complete_options(name, {}) for name in normmods.names()]\n"
        "sys.exit('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", script], check=False).returncode == 0


def test_every_public_name_exists() -> None:
    assert all(getattr(normmods, name) is not None for name in normmods.__all__)
    with pytest.raises(AttributeError, match="no attribute 'BatchNrm'"):
        _ = normmods.BatchNrm


def test_complete_options_fills_in_defaults() -> None:
    completed = normmods.complete_options("groupnorm", {"num_groups": 8})
    assert completed == {"num_groups": 8, "fewer_groups": True, "eps": 1e-5}


def test_an_option_added_later_counts_once_it_is_not_the_default() -> None:
    complete = normmods.complete_options("assocnorm", {})
    recorded = normmods.recorded_options("assocnorm", complete)
    assert complete == {**recorded, "encoder_init": "normal"}
    other = {**complete, "encoder_init": "first_positive"}
    assert normmods.recorded_options("assocnorm", other) == other
    groupnorm = normmods.complete_options("groupnorm", {})
    assert normmods.recorded_options("groupnorm", groupnorm) == groupnorm


@pytest.fixture
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "mynorms.py").write_text(
        "import torch\n"
        "class Scaled(torch.nn.Identity):\n"
        "    def __init__(self, num_channels, *, scale, eps=1e-5):\n"
        "        super().__init__()\n"
        "        self.scale = scale\n"
        "class Named(torch.nn.Identity):\n"
        "    def __init__(self, channels, *, name='a', num_channels=4):\n"
        "        super().__init__()\n"
        "        self.stated = (channels, name, num_channels)\n"
        "def keyword(*, num_channels, eps=1e-5):\n"
        "    return torch.nn.BatchNorm2d(num_channels, eps)\n"
        "def anything(num_channels, **options):\n"
        "    return torch.nn.Identity()\n"
        "number = 3\n"
    )
    (tmp_path / "brokennorms.py").write_text("raise RuntimeError('no\\nlicence')\n")
    (tmp_path / "needsmore.py").write_text("import surely_not_installed\n")
    monkeypatch.syspath_prepend(tmp_path)
    for name in ("mynorms", "brokennorms", "needsmore"):
        sys.modules.pop(name, None)


@pytest.mark.usefixtures("own")
def test_own_layer_is_inspected_and_built() -> None:
    listed = normmods.options("mynorms:Scaled")
    assert dict(listed) == {"scale": normmods.REQUIRED, "eps": 1e-5}
    assert repr(listed["scale"]) == "REQUIRED"
    layer = normmods.build("mynorms:Scaled", 4, scale=2.0)
    assert layer.scale == 2.0
    assert dict(normmods.options("mynorms:anything")) == {}
    assert normmods.complete_options("mynorms:anything", {"any": 1}) == {"any": 1}


@pytest.mark.usefixtures("own")
def test_an_option_may_be_called_name_or_num_channels() -> None:
    assert dict(normmods.options("mynorms:Named")) == {"name": "a", "num_channels": 4}
    assert normmods.build("mynorms:Named", 16).stated == (16, "a", 4)
    layer = normmods.build("mynorms:Named", 16, name="b", num_channels=2)
    assert layer.stated == (16, "b", 2)


def test_what_is_filled_with_the_number_of_channels_is_no_option() -> None:
    expected = (
        "norm 'torch.nn:LocalResponseNorm' has no option 'size': its first argument `size` is "
        "filled with the number of channels (its options are alpha, beta, k)"
    )
    with pytest.raises(normmods.NormError, match=re.escape(expected)):
        normmods.complete_options("torch.nn:LocalResponseNorm", {"size": 5})


@pytest.mark.usefixtures("own")
def test_channels_are_given_by_keyword_where_they_are_not_the_first_argument() -> None:
    options = normmods.options("torch.nn:GroupNorm")
    assert "num_channels" not in options
    assert options["num_groups"] is normmods.REQUIRED
    layer = normmods.build("torch.nn:GroupNorm", 16, num_groups=8)
    assert (layer.num_groups, layer.num_channels) == (8, 16)
    assert dict(normmods.options("mynorms:keyword")) == {"eps": 1e-5}
    assert normmods.build("mynorms:keyword", 16, eps=0.1).num_features == 16


@pytest.mark.usefixtures("own")
@pytest.mark.parametrize(
    ("name", "given", "kind", "text"),
    [
        ("btchnorm", {}, errors.UnknownNormError, "did you mean 'batchnorm'?"),
        ("nosuch.layers:Norm", {}, errors.NormImportError, "no module 'nosuch'"),
        ("my_layers.py:Norm", {}, errors.NormImportError, "write 'my_layers:Norm', and keep"),
        ("../my_layers:Norm", {}, errors.NormImportError, "write 'my_layers:Norm', and keep"),
        ("./a/my_layers.py:Norm", {}, errors.NormImportError, "write 'my_layers:Norm', and keep"),
        ("brokennorms:Norm", {}, errors.NormImportError, "raised RuntimeError: no licence"),
        ("needsmore:Norm", {}, errors.NormImportError, "ModuleNotFoundError: No module named"),
        ("mynorms:Scale", {}, errors.NormImportError, "did you mean 'Scaled'?"),
        ("mynorms:number", {}, errors.NormImportError, "number is int"),
        ("mynorms:Scaled", {"epz": 1}, errors.NormOptionError, "did you mean 'eps'?"),
        ("mynorms:Scaled", {}, errors.NormOptionError, "needs a value for scale"),
        ("groupnorm", {"group": 8}, errors.NormOptionError, "its options are num_groups"),
    ],
)
def test_each_mistake_has_its_own_line(
    name: str, given: dict[str, int], kind: type[ValueError], text: str
) -> None:
    with pytest.raises(kind) as caught:
        normmods.build(name, 8, **given)
    assert text in str(caught.value)
    assert "\n" not in str(caught.value)
    assert isinstance(caught.value, ValueError)


@pytest.mark.parametrize(
    ("name", "channels", "given", "text"),
    [
        ("groupnorm", 6, {"num_groups": "4"}, "expected a whole number such as 32, found '4'"),
        ("groupnorm", 6, {"num_groups": 2.0}, "expected a whole number such as 32, found 2.0"),
        ("groupnorm", 6, {"num_groups": None}, "expected a whole number such as 32, found None"),
        ("groupnorm", 6, {"fewer_groups": 1}, "expected true or false such as True, found 1"),
        ("batchnorm", 6, {"eps": "1e-3"}, "expected a number such as 1e-05, found '1e-3'"),
        ("batchnorm", 6, {"eps": float("nan")}, "expected a finite number, found nan"),
        ("mabn", 6, {"history": 2**63}, "expected a whole number from -9223372036854775808 to"),
        ("batchnorm", 6.0, {}, "expected a whole number of channels, found 6.0"),
        ("evonorm_s0", True, {}, "expected a whole number of channels, found True"),
        ("layernorm", None, {}, "expected a whole number of channels, found None"),
    ],
)
def test_a_value_of_another_kind_is_told_as_in_a_grid(
    name: str, channels: Any, given: dict[str, Any], text: str
) -> None:
    with pytest.raises(errors.NormOptionError, match=f"^norm '{name}': ") as caught:
        normmods.build(name, channels, **given)
    assert text in str(caught.value)
    if given:
        with pytest.raises(errors.NormOptionError):
            normmods.check_norm(name, **given)


@pytest.mark.parametrize("name", [n for n in normmods.names() if "momentum" in normmods.options(n)])
def test_no_momentum_is_a_mean_or_is_refused(name: str) -> None:
    if name in ("batchnorm", "ghostbatchnorm", "evonorm_b0", "switchablenorm"):
        assert normmods.build(name, 8, momentum=None).momentum is None
    else:
        with pytest.raises(errors.NormOptionError, match="expected a number such as"):
            normmods.build(name, 8, momentum=None)


def test_a_whole_number_stands_for_a_number() -> None:
    assert normmods.build("batchnorm", 6, eps=1).eps == 1
