"""Norms with statistics of single examples: GroupNorm, InstanceNorm and LayerNorm."""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional

from normmods.dispatch import dispatch_input, is_recorded
from normmods.norm import Norm


def choose_num_groups(
    num_channels: int, num_groups: int, fewer_groups: bool, choice: str = "gcd"
) -> int:
    """Return the number of groups into which `num_channels` are split.

    Args:
        num_channels: channels of the input.
        num_groups: groups asked for.
        fewer_groups: False refuses a `num_groups` that does not divide `num_channels`.
        choice: `gcd`, gcd(num_groups, num_channels), or `largest_divisor`, the largest divisor of
            `num_channels` that is not above `num_groups`; the two differ for 48 channels and 32
            groups, 16 and 24.

    Raises:
        ValueError: `num_groups` is not positive, or does not divide `num_channels` and
            `fewer_groups` is False.
    """
    if num_groups < 1:
        raise ValueError(f"`num_groups >= 1` must hold, but got num_groups={num_groups}")
    groups = math.gcd(num_groups, num_channels)
    if choice == "largest_divisor":
        most = min(num_groups, num_channels)
        groups = next(n for n in range(most, 0, -1) if num_channels % n == 0)
    if num_channels % num_groups and not fewer_groups:
        raise ValueError(
            f"`num_channels % num_groups == 0` must hold, but got num_channels={num_channels}, "
            f"num_groups={num_groups}: choose a divisor, or fewer_groups=True for "
            f"{groups} groups"
        )
    return groups


def require_group_values(x: Tensor, num_groups: int) -> None:
    """Raise `ValueError` if each group of an example has one value, which would become 0."""
    if not is_recorded(x) and x.shape[1] == num_groups and x.shape[2] == 1 and x.shape[3] == 1:
        raise ValueError(
            "`(C / num_groups) * H * W > 1` must hold, but got one value a group: "
            f"x.shape={tuple(x.shape)}, num_groups={num_groups}: "
            "use fewer groups, a larger map, or another norm"
        )


class GroupNorm(Norm):
    """Group normalization (Wu & He 2018, arXiv 1803.08494).

    Standardises each example and group of C / `num_groups` neighbouring channels by its mean and
    biased variance over (C / num_groups, H, W), then scales and shifts by channel. Where
    `num_groups` does not divide C, gcd(num_groups, C) groups are used, so that one setting
    serves networks of any width; `fewer_groups=False` refuses instead.

    Raises:
        ValueError: in the constructor, groups that do not divide; in `forward`, an input that
            is not floating (B, C, H, W) or has one value a group.

    Args:
        num_channels: channels of the input, C.
        num_groups: groups asked for.
        fewer_groups: False refuses a `num_groups` that does not divide C.
        eps: added to the variance.

    Examples:
        >>> layer = GroupNorm(48, num_groups=32)
        >>> layer.num_groups, layer(torch.randn(2, 48, 4, 4)).shape
        (16, torch.Size([2, 48, 4, 4]))
    """

    def __init__(
        self,
        num_channels: int,
        *,
        num_groups: int = 32,
        fewer_groups: bool = True,
        eps: float = 1e-5,
    ) -> None:
        super().__init__(num_channels, eps=eps)
        self.num_groups = choose_num_groups(num_channels, num_groups, fewer_groups)

    @dispatch_input
    def forward(self, x: Tensor) -> Tensor:
        """Return the normalized `x`, of the same shape, (B, C, H, W), and dtype."""
        self._check(x)
        require_group_values(x, self.num_groups)
        reduced = not is_recorded(x) and x.dtype in (torch.float16, torch.bfloat16)
        if reduced and x.device.type != "cpu":
            # Only the CPU kernel takes reduced inputs beside float32 parameters.
            y = functional.group_norm(x.float(), self.num_groups, self.weight, self.bias, self.eps)
            return y.to(x.dtype)
        return functional.group_norm(x, self.num_groups, self.weight, self.bias, self.eps)

    def _widen(self, num_networks: int) -> None:
        """Widen parameters, and the number of groups."""
        super()._widen(num_networks)
        self.num_groups *= num_networks

    def extra_repr(self) -> str:
        """Return the channel count, the groups in use and eps."""
        return f"{self.num_channels}, num_groups={self.num_groups}, eps={self.eps}"


class InstanceNorm(GroupNorm):
    """Instance normalization (Ulyanov et al. 2016, arXiv 1607.08022): every channel a group.

    Unlike `torch.nn.InstanceNorm2d` it has a weight and a bias, as the other norms do, and no
    running statistics. Raises `ValueError` on 1x1 maps.

    Args:
        num_channels: channels of the input, C.
        eps: added to the variance.

    Examples:
        >>> x = torch.randn(2, 8, 4, 4)
        >>> torch.allclose(InstanceNorm(8)(x), torch.nn.functional.instance_norm(x), atol=1e-5)
        True
    """

    def __init__(self, num_channels: int, *, eps: float = 1e-5) -> None:
        super().__init__(num_channels, num_groups=num_channels, eps=eps)


class LayerNorm(GroupNorm):
    """Layer normalization (Ba et al. 2016, arXiv 1607.06450) for convolutions: one group.

    Statistics run over (C, H, W); weight and bias belong to channels, (C,).

    Args:
        num_channels: channels of the input, C.
        eps: added to the variance.

    Raises:
        ValueError: an input is not floating (B, C, H, W) or has one value an example.

    Examples:
        >>> LayerNorm(8).num_groups
        1
    """

    def __init__(self, num_channels: int, *, eps: float = 1e-5) -> None:
        super().__init__(num_channels, num_groups=1, eps=eps)
