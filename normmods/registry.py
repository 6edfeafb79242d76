"""Every norm by its name, with its options and their defaults.

The table is literal, so that a grid can be read and checked without importing torch; a test
holds it to the signatures of the classes it names.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from enum import Enum
from types import MappingProxyType
from typing import TYPE_CHECKING, Final, Literal, cast

from normmods.errors import (
    ImportPathError,
    NormImportError,
    NormOptionError,
    UnknownNormError,
    suggest_name,
)
from normmods.import_path import build_layer, channels_parameter, import_callable, layer_options
from normmods.option_values import describe_kind, describe_mismatch

if TYPE_CHECKING:
    from torch import nn

OptionValue = bool | int | float | str | None


class _Required(Enum):
    """The type of `REQUIRED`."""

    REQUIRED = "required"

    def __repr__(self) -> str:
        return "REQUIRED"


REQUIRED: Final = _Required.REQUIRED
"""The default of a custom layer's option that has none in the signature."""

Options = Mapping[str, OptionValue | Literal[_Required.REQUIRED]]
"""Options with their defaults."""


_GROUPS: dict[str, OptionValue] = {"num_groups": 32, "fewer_groups": True}
_BATCH: dict[str, OptionValue] = {"eps": 1e-5, "momentum": 0.1, "eval_statistics": "ema"}
_RENORM: dict[str, OptionValue] = {"eps": 1e-5, "momentum": 0.01, "r_max": 3.0, "d_max": 5.0}
_ENDS_IN_ACTIVATION: dict[str, OptionValue] = {"before_sum": "affine"}
_WARMUP: dict[str, OptionValue] = {"warmup_steps": 0, "r_ramp_steps": 0, "d_ramp_steps": 0}

_TABLE: dict[str, tuple[str, dict[str, OptionValue]]] = {
    "batchnorm": ("normmods.batch:BatchNorm", _BATCH),
    "groupnorm": ("normmods.group:GroupNorm", {**_GROUPS, "eps": 1e-5}),
    "instancenorm": ("normmods.group:InstanceNorm", {"eps": 1e-5}),
    "layernorm": ("normmods.group:LayerNorm", {"eps": 1e-5}),
    "batchrenorm": (
        "normmods.renorm:BatchRenorm",
        {**_RENORM, **_WARMUP, "eval_statistics": "ema"},
    ),
    "renorm_debias": ("normmods.renorm:RenormDebias", {**_RENORM, "eval_statistics": "batch"}),
    "assocnorm": (
        "normmods.assoc:AssocNorm",
        {
            **_GROUPS,
            "reduction": 16,
            "key_features": "group",
            "bias": "after",
            "pairing": "mean_to_weight",
            "eps": 1e-5,
            "encoder_init": "normal",
        },
    ),
    "ghostbatchnorm": ("normmods.ghost:GhostBatchNorm", {"ghost_size": 32, **_BATCH}),
    "groupnorm_ws": ("normmods.weight_forms:GroupNormWS", {**_GROUPS, "eps": 1e-5}),
    "batchchannelnorm": (
        "normmods.batch_channel:BatchChannelNorm",
        {**_GROUPS, "estimate": True, "eps": 1e-5, "momentum": 0.1},
    ),
    "frn_tlu": (
        "normmods.filter_response:FilterResponseNorm",
        {"eps": 1e-6, "learn_eps": False, **_ENDS_IN_ACTIVATION},
    ),
    "evonorm_b0": ("normmods.evonorm:EvoNormB0", {**_BATCH, **_ENDS_IN_ACTIVATION}),
    "evonorm_s0": (
        "normmods.evonorm:EvoNormS0",
        {**_GROUPS, "group_choice": "largest_divisor", "eps": 1e-5, **_ENDS_IN_ACTIVATION},
    ),
    "switchablenorm": ("normmods.switchable:SwitchableNorm", _BATCH),
    "mabn": (
        "normmods.mabn:MovingAverageBatchNorm",
        {
            "history": 16,
            "warmup_steps": 100,
            "renormalize_after": 1000,
            "eps": 1e-5,
            "momentum": 0.02,
        },
    ),
    "dynamictanh": ("normmods.dynamic_tanh:DynamicTanh", {"initial_alpha": 0.5}),
}
"""Import path and options of each registered norm."""


_ADDED_LATER: dict[str, tuple[str, ...]] = {"assocnorm": ("encoder_init",)}
"""Options that a norm began without and whose default is its earlier behaviour. While one has its
default, `recorded_options` leaves it out, so that the ids of old trials hold."""


_TAKES_NONE: dict[str, tuple[str, ...]] = {
    "momentum": ("batchnorm", "ghostbatchnorm", "evonorm_b0", "switchablenorm"),
    "renormalize_after": ("mabn",),
}
"""Options that may be None, and the norms in which they may: without `momentum` all batches are
averaged alike, as in torch's BatchNorm; without `renormalize_after` mabn never renormalizes."""


def names() -> tuple[str, ...]:
    """Return the registered names, in the order of the table.

    Examples:
        >>> names()[:3]
        ('batchnorm', 'groupnorm', 'instancenorm')
    """
    return tuple(_TABLE)


def options(name: str) -> Options:
    """Return all options of a norm with their defaults; `REQUIRED` for an option without one.

    For a registered name nothing is imported. For `package.module:attr` the module is imported and
    the signature read, without the number of channels; options in `**kwargs` are not listed.

    Args:
        name: a registered name, or `package.module:attr`.

    Raises:
        NormError: the name cannot be resolved.

    Examples:
        >>> dict(options("groupnorm"))
        {'num_groups': 32, 'fewer_groups': True, 'eps': 1e-05}
    """
    if name in _TABLE:
        return MappingProxyType(_TABLE[name][1])
    return MappingProxyType(
        {
            parameter.name: REQUIRED if parameter.default is parameter.empty else parameter.default
            for parameter in layer_options(load(name))
            if parameter.kind is not parameter.VAR_KEYWORD
        }
    )


def complete_options(name: str, given: Mapping[str, OptionValue]) -> dict[str, OptionValue]:
    """Return the options `given` with every default filled in.

    Args:
        name: a registered name, or `package.module:attr`.
        given: options by name.

    Raises:
        NormError: the name cannot be resolved, an option is unknown, or a required one is missing.

    Examples:
        >>> complete_options("groupnorm", {"num_groups": 8})
        {'num_groups': 8, 'fewer_groups': True, 'eps': 1e-05}
    """
    known = options(name)
    for option in given:
        if option not in known and not _accepts_any_option(name):
            valid = f"its options are {', '.join(known)}" if known else "it has no options"
            hint = suggest_name(option, known)
            if name not in _TABLE and option == channels_parameter(load(name)):
                which = "argument" if option == "num_channels" else "first argument"
                hint = f": its {which} `{option}` is filled with the number of channels"
            raise NormOptionError(f"norm {name!r} has no option {option!r}{hint} ({valid})")
    completed = {**known, **given}
    missing = [option for option, value in completed.items() if value is REQUIRED]
    if missing:
        raise NormOptionError(
            f"norm {name!r} needs a value for {', '.join(missing)}: "
            "the layer's signature has no default for it"
        )
    return cast("dict[str, OptionValue]", completed)


def describe_value_mismatch(name: str, option: str, value: object) -> str | None:
    """Return what an option expects, in words, if `value` is of another kind; else None.

    `describe_value_mismatch("groupnorm", "num_groups", "4")` is `a whole number such as 32`.

    Raises:
        NormError: the name cannot be resolved.
    """
    default = options(name).get(option)
    # A custom layer may accept None for any option.
    takes_none = name in _TAKES_NONE.get(option, ())
    if name in _TABLE and value is None and default is not None and not takes_none:
        return describe_kind(default)
    return describe_mismatch(default, value)


def require_values(name: str, given: Mapping[str, object]) -> None:
    """Raise `NormOptionError` for an option of a registered norm whose value is of another kind.

    A custom layer checks its values itself: a Python program may give it any object.
    """
    for option, value in given.items() if name in _TABLE else ():
        if wanted := describe_value_mismatch(name, option, value):
            raise NormOptionError(
                f"norm {name!r}: option {option!r}: expected {wanted}, found {value!r}"
            )


def recorded_options(name: str, complete: Mapping[str, OptionValue]) -> dict[str, OptionValue]:
    """Return the options that a trial's spec holds and that the trial's id covers.

    Options that an earlier version of the norm did not have are left out while they have their
    default, so that the ids of old trials hold.

    Args:
        name: a registered name, or `package.module:attr`.
        complete: all options, as `complete_options` returns them.

    Examples:
        >>> complete = complete_options("assocnorm", {})
        >>> "encoder_init" in complete, "encoder_init" in recorded_options("assocnorm", complete)
        (True, False)
    """
    added = _ADDED_LATER.get(name, ())
    defaults = options(name)
    return {k: v for k, v in complete.items() if k not in added or v != defaults[k]}


def load(name: str) -> Callable[..., nn.Module]:
    """Return the callable that builds a norm's layer; imports its module.

    Args:
        name: a registered name, or `package.module:attr`.

    Returns:
        A class or function of the number of channels and the options.

    Raises:
        NormError: the name cannot be resolved; the subclass says why.

    Examples:
        >>> load("groupnorm")(64, num_groups=8).num_groups
        8
    """
    target = _TABLE[name][0] if name in _TABLE else name
    module_name, _, attribute = target.partition(":")
    if not module_name or not attribute:
        raise UnknownNormError(
            f"there is no norm {name!r}{suggest_name(name, _TABLE)} (registered: "
            f"{', '.join(_TABLE)}; a layer of your own is 'package.module:attr')"
        )
    try:
        return import_callable(
            target,
            label=f"norm {name!r}",
            wanted="of the number of channels that returns a module",
        )
    except ImportPathError as error:
        raise NormImportError(str(error)) from error


def build(name: str, num_channels: int, /, **given: OptionValue) -> nn.Module:
    """Return a new layer for inputs of shape (B, `num_channels`, H, W).

    Args:
        name: a registered name, or `package.module:attr`.
        num_channels: channels of the input.
        **given: options of the layer, whatever their names: a custom layer may have one that is
            called `name` or `num_channels`.

    Raises:
        NormError: the name is wrong, an option or its value is, or the number of channels is no
            whole number.
        ValueError: the layer refuses a value; it says which and why.

    Examples:
        >>> build("groupnorm", 64, num_groups=8)
        GroupNorm(64, num_groups=8, eps=1e-05)
        >>> build("torch.nn:BatchNorm2d", 64).num_features
        64
    """
    complete_options(name, given)
    require_values(name, given)
    is_whole = hasattr(num_channels, "__index__") and not isinstance(num_channels, bool)
    if not is_whole:
        raise NormOptionError(
            f"norm {name!r}: expected a whole number of channels, found {num_channels!r}"
        )
    return cast("nn.Module", build_layer(load(name), num_channels, given))


def _accepts_any_option(name: str) -> bool:
    """Whether the norm is a custom layer with `**kwargs`."""
    if name in _TABLE:
        return False
    parameters = layer_options(load(name))
    return any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters)
