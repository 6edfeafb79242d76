"""What a user names as `package.module:attr`: imported, and one clear line where that fails."""

from __future__ import annotations

import importlib
import inspect
import re
from collections.abc import Callable
from typing import Any

from normmods.errors import ImportPathError, suggestion

_POSITIONAL = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
_UNREACHABLE = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.VAR_POSITIONAL)


def resolve(path: str, *, named: str, wanted: str) -> Callable[..., Any]:
    """The callable at `package.module:attr`; imports its module.

    Args:
        path: where it is.
        named: what messages call it: `norm 'groupnorm'`.
        wanted: what it should be: `that takes num_channels and returns a module`.

    Raises:
        ImportPathError: there is no such module or attribute, importing it raised, or what is
            there cannot be called.
    """
    module_name, _, attribute = path.partition(":")
    if not module_name or not attribute:
        raise ImportPathError(f"{named}: expected 'package.module:attr'")
    _require_name(named, module_name, attribute)
    module = _import(named, module_name)
    if not hasattr(module, attribute):
        near = suggestion(attribute, vars(module))
        raise ImportPathError(f"{named}: {module_name} has no {attribute!r}{near}")
    found = getattr(module, attribute)
    if not callable(found):
        raise ImportPathError(
            f"{named}: {attribute} is {type(found).__name__}, which cannot be called; "
            f"name a class or a function {wanted}"
        )
    return found  # type: ignore[no-any-return]


def keyword_parameters(
    target: Callable[..., Any], *, behind_first: bool = False
) -> list[inspect.Parameter]:
    """The parameters that a keyword can reach; `behind_first` leaves out a first positional one."""
    try:
        parameters = list(inspect.signature(target).parameters.values())
    except (TypeError, ValueError):  # some compiled callables have no signature
        return [inspect.Parameter("options", inspect.Parameter.VAR_KEYWORD)]
    if behind_first and parameters and parameters[0].kind in _POSITIONAL:
        del parameters[0]
    return [parameter for parameter in parameters if parameter.kind not in _UNREACHABLE]


def _require_name(named: str, module_name: str, attribute: str) -> None:
    """Raise `ImportPathError` where a file's path stands in place of a module's name."""
    is_file = module_name.endswith(".py") and not module_name.startswith(".")
    if not is_file and all(part.isidentifier() for part in module_name.split(".")):
        return
    name = re.split(r"[/\\]", module_name.removesuffix(".py"))[-1]
    raise ImportPathError(
        f"{named}: expected the name of a module, found the path of a file; write "
        f"'{name}:{attribute}', and keep {name}.py beside the grid or in the working folder"
    )


def _import(named: str, module_name: str) -> Any:
    try:
        return importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        if error.name is not None and f"{module_name}.".startswith(f"{error.name}."):
            raise ImportPathError(
                f"{named}: there is no module {error.name!r} on the import path"
            ) from error
        raise _import_failure(named, module_name, error) from error
    except (Exception, SystemExit) as error:
        raise _import_failure(named, module_name, error) from error


def _import_failure(named: str, module_name: str, error: BaseException) -> ImportPathError:
    cause = " ".join(str(error).split())
    return ImportPathError(
        f"{named}: importing {module_name} raised {type(error).__name__}: {cause}"
    )
