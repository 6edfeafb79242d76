"""What some norms ask of the convolution before them: standardized or centered weights."""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor, nn
from torch.nn.utils import parametrize

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
        """The standardized weight, of the same shape, (C_out, C_in, kH, kW)."""
        over = tuple(range(1, weight.dim()))
        centered = weight - weight.mean(over, keepdim=True)
        return centered / (centered.square().mean(over, keepdim=True) + self.eps).sqrt()


class CenteredWeight(nn.Module):
    """Weight centralization (Yan et al. 2020, arXiv 2001.06838, section 4.3): mean 0 alone."""

    def forward(self, weight: Tensor) -> Tensor:
        """The centered weight, of the same shape, (C_out, C_in, kH, kW)."""
        centered: Tensor = weight - weight.mean(tuple(range(1, weight.dim())), keepdim=True)
        return centered


_FORMS: dict[str, Callable[[], nn.Module]] = {
    "standardized": StandardizedWeight,
    "centered": CenteredWeight,
}


class GroupNormWS(GroupNorm):
    """Group normalization after convolutions with standardized weights (arXiv 1903.10520).

    The layer is `GroupNorm`; `normmods.prepare` standardizes the convolution before it, and the
    layer refuses to run until that is done.
    """

    weight_form = "standardized"


def prepare(model: nn.Module) -> nn.Module:
    """Gives every norm of `model` that has a `weight_form` the convolution it asks for.

    The convolution is the one registered last before the norm, as in
    `nn.Sequential(conv, norm)` or `self.conv1, self.norm1`; its weight becomes a torch
    parametrization (`parametrizations.weight.original` in the state dict), so gradients pass
    through the form. Models without such norms stay as they are, and calling it again changes
    nothing. A bare layer counts as prepared.

    Returns:
        `model` itself.

    Raises:
        ValueError: the convolution before such a norm has another number of channels, or
            there is none.
    """
    convolution: nn.Conv2d | None = None
    for name, module in list(model.named_modules()):
        if isinstance(module, nn.Conv2d):
            convolution = module
        elif isinstance(module, Norm) and not module.prepared:
            if module is not model:
                _give_form(name, module, convolution)
            module.prepared = True
    return model


def _give_form(name: str, norm: Norm, convolution: nn.Conv2d | None) -> None:
    if convolution is None or convolution.out_channels != norm.num_channels:
        found = "none" if convolution is None else f"one to {convolution.out_channels} channels"
        raise ValueError(
            f"the convolution registered before {name!r} must have num_channels="
            f"{norm.num_channels} output channels, but got {found}: register each norm right "
            "behind its convolution"
        )
    if norm.weight_form is not None and not parametrize.is_parametrized(convolution, "weight"):
        parametrize.register_parametrization(convolution, "weight", _FORMS[norm.weight_form]())
        make_picklable(convolution)
