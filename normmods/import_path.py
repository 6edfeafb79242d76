"""Import of what a user names as `package.module:attr`, with a one-line message if that fails."""

from __future__ import annotations

import importlib
import inspect
import re
import sys
from collections.abc import Callable, Mapping
from typing import Any

from normmods.errors import ImportPathError, suggest_name

_POSITIONAL = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
_UNREACHABLE = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.VAR_POSITIONAL)


def import_callable(path: str, *, label: str, wanted: str) -> Callable[..., Any]:
    """Return the callable at `package.module:attr`; imports its module.

    Args:
        path: the name `package.module:attr`.
        label: the name in messages: `norm 'groupnorm'`.
        wanted: what a callable should do: `of the number of channels that returns a module`.

    Raises:
        ImportPathError: the module or attribute is missing, importing it raised, or it cannot be
            called.
    """
    module_name, _, attribute = path.partition(":")
    if not module_name or not attribute:
        raise ImportPathError(f"{label}: expected 'package.module:attr'")
    _require_name(label, module_name, attribute)
    module = _import(label, module_name)
    if not hasattr(module, attribute):
        near = suggest_name(attribute, vars(module))
        raise ImportPathError(f"{label}: {module_name} has no {attribute!r}{near}")
    found = getattr(module, attribute)
    if _is_built(found):
        raise ImportPathError(
            f"{label}: {path} is a module already built ({type(found).__name__}); name its class, "
            f"or a function {wanted}"
        )
    if not callable(found):
        raise ImportPathError(
            f"{label}: {attribute} is {type(found).__name__}, which cannot be called; "
            f"name a class or a function {wanted}"
        )
    return found  # type: ignore[no-any-return]


def _is_built(found: object) -> bool:
    """Return whether the object is an `nn.Module`, not its class; does not import torch."""
    torch = sys.modules.get("torch")
    return torch is not None and isinstance(found, torch.nn.Module)


def keyword_parameters(target: Callable[..., Any]) -> list[inspect.Parameter]:
    """Return the parameters that can be passed by keyword."""
    return [parameter for parameter in _parameters(target) if parameter.kind not in _UNREACHABLE]


def layer_options(target: Callable[..., Any]) -> list[inspect.Parameter]:
    """Return the keyword parameters of a layer's callable except the number of channels.

    The number of channels is the first positional parameter; see `build_layer` for the exception.
    """
    parameters = _parameters(target)
    keyword = _channels_keyword(parameters)
    if keyword is None and parameters and parameters[0].kind in _POSITIONAL:
        del parameters[0]
    return [p for p in parameters if p.kind not in _UNREACHABLE and p.name != keyword]


def channels_parameter(target: Callable[..., Any]) -> str | None:
    """Return the name of the parameter that `build_layer` fills with the number of channels."""
    parameters = _parameters(target)
    is_first = bool(parameters) and parameters[0].kind in _POSITIONAL
    return _channels_keyword(parameters) or (parameters[0].name if is_first else None)


def build_layer(target: Callable[..., Any], num_channels: int, options: Mapping[str, Any]) -> Any:
    """Return the layer that `target` builds for `num_channels`.

    The number is passed as the first argument, unless another parameter without default is called
    `num_channels`, as in torch's `GroupNorm(num_groups, num_channels)`: then it is passed there.

    Raises:
        TypeError: `target` returns something other than a `torch.nn.Module`.
    """
    from torch import nn  # only here: a grid is read without importing torch

    keyword = _channels_keyword(_parameters(target))
    if keyword is None:
        layer = target(num_channels, **options)
    else:
        layer = target(**{keyword: num_channels}, **options)
    if not isinstance(layer, nn.Module):
        hint = "; does the function return the layer?" if layer is None else ""
        raise TypeError(f"expected a torch.nn.Module, found {type(layer).__name__}{hint}")
    return layer


def _channels_keyword(parameters: list[inspect.Parameter]) -> str | None:
    """Return the keyword by which the number of channels must be passed; None if by position."""
    for place, parameter in enumerate(parameters):
        if parameter.name == "num_channels" and parameter.default is parameter.empty:
            by_place = place == 0 and parameter.kind in _POSITIONAL
            is_option = place > 0 and parameter.kind is parameter.KEYWORD_ONLY
            first_is_positional = parameters[0].kind in _POSITIONAL
            return None if by_place or (is_option and first_is_positional) else parameter.name
    return None


def _parameters(target: Callable[..., Any]) -> list[inspect.Parameter]:
    """Return the parameters of a callable; one without signature counts as taking any options."""
    try:
        return list(inspect.signature(target).parameters.values())
    except (TypeError, ValueError):  # some compiled callables have no signature
        return [
            inspect.Parameter("channels", inspect.Parameter.POSITIONAL_ONLY),
            inspect.Parameter("options", inspect.Parameter.VAR_KEYWORD),
        ]


def _require_name(label: str, module_name: str, attribute: str) -> None:
    """Raise `ImportPathError` for a file's path in place of a module's name."""
    is_file = module_name.endswith(".py") and not module_name.startswith(".")
    if not is_file and all(part.isidentifier() for part in module_name.split(".")):
        return
    name = re.split(r"[/\\]", module_name.removesuffix(".py"))[-1]
    raise ImportPathError(
        f"{label}: expected the name of a module, found the path of a file; write "
        f"'{name}:{attribute}', and keep {name}.py beside the grid or in the working folder"
    )


def _import(label: str, module_name: str) -> Any:
    """Return the imported module; raises `ImportPathError` if the import fails."""
    try:
        return importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        if error.name is not None and f"{module_name}.".startswith(f"{error.name}."):
            raise ImportPathError(
                f"{label}: there is no module {error.name!r} on the import path"
            ) from error
        raise _import_failure(label, module_name, error) from error
    except (Exception, SystemExit) as error:
        raise _import_failure(label, module_name, error) from error


def _import_failure(label: str, module_name: str, error: BaseException) -> ImportPathError:
    """Return the error for an exception that importing the module raised."""
    cause = " ".join(str(error).split())
    return ImportPathError(
        f"{label}: importing {module_name} raised {type(error).__name__}: {cause}"
    )
