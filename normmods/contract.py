"""The contract of a norm layer: checks of any layer, one property a line."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import nn

from normmods.layer_under_test import LayerUnderTest, Violation
from normmods.properties import PROPERTIES
from normmods.registry import OptionValue, load, require_values


@dataclass(frozen=True)
class Property:
    """Whether one property of a layer holds, and a line on what was measured."""

    name: str
    holds: bool
    detail: str

    def __str__(self) -> str:
        return f"{'pass' if self.holds else 'FAIL'}  {self.name:18} {self.detail}"


@dataclass(frozen=True)
class NormReport:
    """The result of `check_norm`; printed, it has a line for each property.

    Attributes:
        properties: the properties in the order in which they were checked.

    Examples:
        >>> report = check_norm("groupnorm", num_channels=8)
        >>> report.passed, report.failed
        (True, ())
    """

    properties: tuple[Property, ...]

    @property
    def passed(self) -> bool:
        """Whether every property holds."""
        return all(found.holds for found in self.properties)

    @property
    def failed(self) -> tuple[str, ...]:
        """Names of the properties that do not hold."""
        return tuple(found.name for found in self.properties if not found.holds)

    def __str__(self) -> str:
        return "\n".join(str(found) for found in self.properties)


def check_norm(
    factory: str | Callable[..., nn.Module],
    /,
    *,
    num_channels: int = 48,
    **options: OptionValue,
) -> NormReport:
    """Check every property of the contract on the layers that `factory` builds.

    This takes some seconds on a CPU, mostly for torch's compiler. torch's random state and number
    of threads are restored. The properties are the functions of
    `normmods.properties`, each documented there.

    Args:
        factory: a registered name, `package.module:attr`, or what builds a layer from
            `(num_channels, **options)`.
        num_channels: channels of the layers and inputs tried.
        **options: given to the factory each time; see `check_layer` for one called `num_channels`.

    Raises:
        NormError: `factory` is a name that cannot be resolved, or an option of a registered norm
            has a value of another kind. The report contains the errors of a factory that fails.

    Returns:
        For each property whether it holds, and in a line what was measured.

    Examples:
        >>> print(check_norm("groupnorm").properties[0])
        pass  shape              kept at 3 sizes
    """
    return check_layer(factory, num_channels, options)


def check_layer(
    factory: str | Callable[..., nn.Module],
    num_channels: int,
    options: Mapping[str, OptionValue],
) -> NormReport:
    """Check a layer as `check_norm`, with its options in a mapping, whatever their names."""
    build = load(factory) if isinstance(factory, str) else factory
    if isinstance(factory, str):
        require_values(factory, options)
    subject = LayerUnderTest(build, num_channels, options)
    found = []
    with torch.random.fork_rng(devices=[]), _use_one_thread():
        for name, check in PROPERTIES.items():
            torch.manual_seed(0)
            try:
                found.append(Property(name, True, check(subject)))
            except Violation as violation:
                found.append(Property(name, False, str(violation)))
            except Exception as error:
                cause = (str(error).splitlines() or [""])[0]
                found.append(Property(name, False, f"raised {type(error).__name__}: {cause}"))
    return NormReport(tuple(found))


@contextmanager
def _use_one_thread() -> Iterator[None]:
    """Use one thread within the block: on small inputs more threads doubled the time."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)
