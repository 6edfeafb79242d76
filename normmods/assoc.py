"""Associate normalization: each example's statistics choose its own scale and shift."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from normmods.assoc_formula import FormulaOptions, associate_normalize
from normmods.assoc_native import Associate
from normmods.dispatch import dispatch_input, needs_reference
from normmods.group import choose_num_groups, require_group_values
from normmods.norm import Norm, match_memory_format, require_one_of, without_autocast


class AssocNorm(Norm):
    """Associate normalization (ICLR 2019 submission; later Instance-Level Meta Normalization).

    Standardises as GroupNorm with N groups does, and rescales by parameters that an
    autoencoder of M hidden units draws from the example's own group statistics mu, var (B, N):

        w = sigmoid(weight_decoder relu(encoder mu)) + weight
        b = tanh(bias_decoder relu(encoder var)) + bias
        y = w * (x - mu) / sqrt(var + eps) + b

    with the decoded (B, N) spread from groups to channels; M = max(2, N // `reduction`).

    Departures from print, and what print leaves open:

    - M, the absence of biases in the three maps, and `weight` and `bias` a channel are not
      printed; only these give the parameters of the paper's Table 4.
    - With `key_features` `channel` the statistics of channels feed the autoencoder and standardise
      as well; the paper speaks of the features alone.
    - Where N does not divide C, gcd(N, C) groups are used.
    - The encoder is shared by mu and var, and gradients pass through both into x.
    - The authors' later code lets the variance make the scale and the mean the shift (`pairing`).

    Variances are never negative, so with the printed initial values, N(0, 1), a hidden unit of
    the variance is off for every example with probability 1/2, and stays off: relu passes no
    gradient. With M = 2 both are off in a quarter of the layers, whose shift then is `bias` alone
    (with `variance_to_weight`, whose scale then is constant). `python -m sweep check-norm
    assocnorm` counts it; `encoder_init` `first_positive` avoids it.

    Args:
        num_channels: channels of the input, C.
        num_groups: groups asked for; gcd(num_groups, C) are used where it does not divide C.
        fewer_groups: False refuses a `num_groups` that does not divide C.
        reduction: groups a hidden unit.
        key_features: `group`, or `channel` for N = C (`num_groups` is then without effect).
        bias: how weight and bias enter (the paper's Table 5), shown for w: `after`,
            sigmoid(z) + weight; `before`, sigmoid(z + weight); `multiply`, sigmoid(z) * weight;
            `none`, sigmoid(z), with no weight and bias at all.
        pairing: `mean_to_weight` as printed, or `variance_to_weight`, with mu and var swapped.
        eps: added to the variance.
        encoder_init: `normal`, N(0, 1) as printed, or `first_positive`, where the first hidden
            unit has the absolute values of N(0, pi / (2 N)), so that it is on for any variances.
            Its answer to equal ones, sqrt(N) times them on average, is the root mean square of
            the printed one's.

    Attributes:
        encoder: (M, N), shared by mu and var.
        weight_decoder: (N, M).
        bias_decoder: (N, M). All three start from one draw a layer.

    Raises:
        ValueError: in the constructor, an option out of range; in `forward`, an input that is
            not floating (B, C, H, W) or has one value a group.

    Examples:
        >>> AssocNorm(64, num_groups=8)(torch.randn(2, 64, 4, 4)).shape
        torch.Size([2, 64, 4, 4])
    """

    weight: nn.Parameter | None  # type: ignore[assignment]
    bias: nn.Parameter | None  # type: ignore[assignment]

    def __init__(
        self,
        num_channels: int,
        *,
        num_groups: int = 32,
        fewer_groups: bool = True,
        reduction: int = 16,
        key_features: str = "group",
        bias: str = "after",
        pairing: str = "mean_to_weight",
        eps: float = 1e-5,
        encoder_init: str = "normal",
    ) -> None:
        super().__init__(num_channels, eps=eps)
        if reduction < 1:
            raise ValueError(f"`reduction >= 1` must hold, but got reduction={reduction}")
        by_channel = require_one_of("key_features", key_features, ("group", "channel")) == "channel"
        groups = (
            num_channels
            if by_channel
            else choose_num_groups(num_channels, num_groups, fewer_groups)
        )
        self.num_groups = groups
        self.hidden = max(2, groups // reduction)
        require_one_of("bias", bias, ("after", "before", "multiply", "none"))
        require_one_of("pairing", pairing, ("mean_to_weight", "variance_to_weight"))
        self.encoder_init = require_one_of(
            "encoder_init", encoder_init, ("normal", "first_positive")
        )
        self._form = FormulaOptions(
            groups, eps, entry=bias, swapped=pairing == "variance_to_weight"
        )
        if bias == "none":
            self.weight = self.bias = None
        self.encoder = nn.Parameter(torch.empty(self.hidden, groups, dtype=torch.float32))
        self.weight_decoder = nn.Parameter(torch.empty(groups, self.hidden, dtype=torch.float32))
        self.bias_decoder = nn.Parameter(torch.empty(groups, self.hidden, dtype=torch.float32))
        self.reset_parameters()

    @torch.no_grad()
    def reset_parameters(self) -> None:
        """Draw the three maps anew, in one draw from torch's global generator."""
        drawn = torch.randn(3, self.encoder.numel(), dtype=torch.float32)
        if self.encoder_init == "first_positive":
            groups = self.encoder.shape[1]
            drawn[0, :groups] = drawn[0, :groups].abs() * math.sqrt(math.pi / (2 * groups))
        maps = (self.encoder, self.weight_decoder, self.bias_decoder)
        for parameter, values in zip(maps, drawn, strict=True):
            parameter.copy_(values.view_as(parameter))

    @dispatch_input
    def forward(self, x: Tensor) -> Tensor:
        """Return the normalized `x`, of the same shape (B, C, H, W), dtype and memory format.

        Eager inputs on a CPU use the native kernels (see `normmods.assoc_native`). Other devices,
        `torch.compile`, which fuses plain operations as well, and `torch.func` use `reference`.
        """
        self._check(x)
        require_group_values(x, self.num_groups)
        with without_autocast(x):
            if needs_reference(x):
                return self.reference(x)
            values = x.to(self.encoder.dtype).contiguous()
            return match_memory_format(
                Associate.apply(values, *self._learned_tensors(), self._form), x
            )

    def reference(self, x: Tensor) -> Tensor:
        """Return the output by plain operations, differentiable any number of times."""
        return associate_normalize(
            x.to(self.encoder.dtype), *self._learned_tensors(), self._form
        ).to(x.dtype)

    def _learned_tensors(self) -> tuple[Tensor, Tensor, Tensor, Tensor | None, Tensor | None]:
        """Return the parameters in the order in which the formula takes them."""
        return self.encoder, self.weight_decoder, self.bias_decoder, self.weight, self.bias

    def _widen(self, num_networks: int) -> None:
        """Widen the parameters, and use all networks' groups in the formula."""
        super()._widen(num_networks)
        self.num_groups *= num_networks
        self._form = self._form._replace(num_groups=self.num_groups, num_networks=self.num_networks)

    def extra_repr(self) -> str:
        """Return the channel count, groups and hidden units in use, and the options."""
        return (
            f"{self.num_channels}, num_groups={self.num_groups}, hidden={self.hidden}, "
            f"bias={self._form.entry!r}, swapped={self._form.swapped}, eps={self.eps}"
        )
