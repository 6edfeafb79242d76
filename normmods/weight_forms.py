"""Standardized or centered weights, which some norms need in the convolution before them."""

from __future__ import annotations

import warnings
from collections.abc import Mapping

from torch import Tensor, nn
from torch.nn.utils import parametrize

from normmods.data_flow import trace_origins
from normmods.errors import WeightFormWarning
from normmods.group import GroupNorm
from normmods.norm import Norm
from normmods.pickled_weights import make_picklable


class StandardizedWeight(nn.Module):
    """Weight standardization (Qiao et al. 2019, arXiv 1903.10520, equations 6 to 8).

    Every output channel's weights, over (C_in, kH, kW), get mean 0 and biased variance 1, with
    1e-5 inside the root, as printed. The authors' code (`layers.Conv2d` of
    joe-siyuan-qiao/Batch-Channel-Normalization) takes the unbiased variance.
    """

    eps = 1e-5

    def forward(self, weight: Tensor) -> Tensor:
        """Return the standardized weight, of the same shape, (C_out, C_in, kH, kW)."""
        over = tuple(range(1, weight.dim()))
        centered = weight - weight.mean(over, keepdim=True)
        return centered / (centered.square().mean(over, keepdim=True) + self.eps).sqrt()


class CenteredWeight(nn.Module):
    """Weight centralization (Yan et al. 2020, arXiv 2001.06838, section 4.3).

    Every output channel's weights, over (C_in, kH, kW), get mean 0; their variance is kept.
    """

    def forward(self, weight: Tensor) -> Tensor:
        """Return the centered weight, of the same shape, (C_out, C_in, kH, kW)."""
        centered: Tensor = weight - weight.mean(tuple(range(1, weight.dim())), keepdim=True)
        return centered


_FORMS: dict[str, type[nn.Module]] = {
    "standardized": StandardizedWeight,
    "centered": CenteredWeight,
}
"""The parametrization of a convolution's weight by the norm's `weight_form`."""


class GroupNormWS(GroupNorm):
    """Group normalization after convolutions with standardized weights (arXiv 1903.10520).

    The layer is `GroupNorm`; `normmods.prepare` standardizes the convolution before it, and the
    layer refuses to run until that is done.

    Args:
        num_channels: channels of the input, C.
        num_groups: groups asked for.
        fewer_groups: False refuses a `num_groups` that does not divide C.
        eps: added to the variance.

    Raises:
        ValueError: as `GroupNorm`; `normmods.prepare` has not been called on the model.

    Examples:
        >>> layers = torch.nn.Conv2d(3, 8, 3), GroupNormWS(8, num_groups=4)
        >>> model = prepare(torch.nn.Sequential(*layers))
        >>> weight = model[0].weight  # standardized: mean 0 over each output channel
        >>> weight.mean((1, 2, 3)).abs().max().item() < 1e-6
        True
    """

    weight_form = "standardized"


def prepare(model: nn.Module, example: Tensor | None = None) -> nn.Module:
    """Give the convolution before each norm with a `weight_form` the weights that the norm needs.

    With an `example`, a batch of inputs (B, C, H, W) of any values, the model is run on it, and a
    norm's convolutions are those whose outputs make up the norm's input: one, or the summands of a
    residual sum and the parts of a concatenation. Without an `example`, the convolution is the one
    registered last before the norm, as in `nn.Sequential(conv, norm)`.

    A convolution's weight becomes a torch parametrization (`parametrizations.weight.original` in
    the state dict), so gradients pass through the form. Two kinds of layers are left unchanged,
    with a warning: a convolution with one weight an output channel, such as a depthwise 1x1, whose
    weight would become zero; and a norm whose input is made of no convolution's output. Models
    without norms with a `weight_form` stay unchanged, and a second call changes nothing. A bare
    layer counts as prepared.

    Args:
        model: a model, or a bare layer.
        example: a batch of inputs.

    Returns:
        `model` itself.

    Raises:
        ValueError: two norms follow one convolution, or none follows any; without an `example`
            also where the convolution registered before a norm has another number of channels.

    Examples:
        >>> layers = torch.nn.Conv2d(3, 8, 3), GroupNormWS(8, num_groups=4)
        >>> model = prepare(torch.nn.Sequential(*layers), torch.zeros(2, 3, 32, 32))
        >>> model(torch.randn(2, 3, 32, 32)).shape
        torch.Size([2, 8, 30, 30])
    """
    norms = {
        path: module
        for path, module in model.named_modules()
        if isinstance(module, Norm) and not module.prepared
    }
    if norms and model not in norms.values():
        _register_forms(model, norms, _pair_convolutions(model, norms, example))
    for norm in norms.values():
        norm.prepared = True
    return model


def _pair_convolutions(
    model: nn.Module, norms: Mapping[str, Norm], example: Tensor | None
) -> dict[str, frozenset[str]]:
    """Return the paths of the convolutions that each norm needs changed, by the norm's path."""
    if example is None:
        owners, pairs = _pair_by_registration(model, norms)
        hint = "; pass a batch of inputs, prepare(model, example), to pair them by data flow"
    else:
        owners, pairs = _pair_by_tracing(model, norms, example)
        hint = ": one convolution cannot be given a form for two norms"
    for convolution, behind in owners.items():
        if len(behind) > 1:
            named = " and ".join(map(repr, behind))
            raise ValueError(
                f"the norms {named} stand behind one convolution, {convolution!r}{hint}"
            )
    if not any(pairs.values()):
        raise ValueError(
            f"a convolution must stand before a norm with weight form "
            f"{next(iter(norms.values())).weight_form!r}, but got none before {', '.join(norms)}"
        )
    return pairs


Owners = dict[str, list[str]]
"""Paths of the norms right after a convolution, by the convolution's path."""


def _pair_by_registration(
    model: nn.Module, norms: Mapping[str, Norm]
) -> tuple[Owners, dict[str, frozenset[str]]]:
    """Pair each norm with the convolution that is registered last before it."""
    owners: Owners = {}
    pairs: dict[str, frozenset[str]] = {}
    last: tuple[str, nn.Conv2d] | None = None
    for path, module in model.named_modules():
        if isinstance(module, nn.Conv2d):
            last = path, module
        elif path in norms:
            channels = norms[path].num_channels
            if last is None or last[1].out_channels != channels:
                found = "none" if last is None else f"one to {last[1].out_channels} channels"
                raise ValueError(
                    f"the convolution registered before {path!r} must have num_channels="
                    f"{channels} output channels, but got {found}: register each norm right "
                    "behind its convolution, or pass a batch of inputs, prepare(model, example)"
                )
            owners.setdefault(last[0], []).append(path)
            pairs[path] = frozenset(last[:1])
    return owners, pairs


def _pair_by_tracing(
    model: nn.Module, norms: Mapping[str, Norm], example: Tensor
) -> tuple[Owners, dict[str, frozenset[str]]]:
    """Pair each norm with the convolutions from which its input comes, in a run on `example`."""
    owners: Owners = {}
    for norm in norms.values():
        norm.prepared = True
    try:
        found = trace_origins(model, norms, example)
    finally:
        for norm in norms.values():
            norm.prepared = False
    for path, seen in found.items():
        alone = {name for origin in seen if not origin.is_joined for name in origin.convolutions}
        for name in sorted(alone):
            owners.setdefault(name, []).append(path)
    pairs = {
        path: frozenset().union(*(origin.convolutions for origin in found.get(path, [])))
        for path in norms
    }
    return owners, pairs


def _register_forms(
    model: nn.Module, norms: Mapping[str, Norm], pairs: Mapping[str, frozenset[str]]
) -> None:
    """Parametrize the weight of each paired convolution; warn about those left unchanged."""
    for path, norm in norms.items():
        form = _FORMS[str(norm.weight_form)]
        if not pairs[path]:
            warnings.warn(
                f"{path} ({type(norm).__name__}) has no convolution before it whose weights could "
                f"be {norm.weight_form}",
                WeightFormWarning,
                stacklevel=4,
            )
        for name in sorted(pairs[path]):
            convolution = model.get_submodule(name)
            if convolution.weight[0].numel() == 1:  # type: ignore[index]
                warnings.warn(
                    f"{name} ({type(convolution).__name__}) keeps its weights as they are: it has "
                    f"one an output channel, which would be zero when {norm.weight_form}",
                    WeightFormWarning,
                    stacklevel=4,
                )
            elif not _has_form(convolution, form):
                parametrize.register_parametrization(convolution, "weight", form())
                make_picklable(convolution)


def _has_form(convolution: nn.Module, form: type[nn.Module]) -> bool:
    """Whether the convolution's weight has the parametrization already."""
    if not parametrize.is_parametrized(convolution, "weight"):
        return False
    forms = convolution.parametrizations["weight"]  # type: ignore[index]
    return any(isinstance(each, form) for each in forms)
