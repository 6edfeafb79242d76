"""What tells Ray something for as long as it is to hold: variables, and names in its modules."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from typing import Any


@contextmanager
def environment_variable(name: str, value: str) -> Iterator[None]:
    """Within the block the variable has this value, unless the user has given it one."""
    if name in os.environ:
        yield
        return
    os.environ[name] = value
    try:
        yield
    finally:
        del os.environ[name]


@contextmanager
def restored_environment() -> Iterator[None]:
    """Restore the environment variables when the block ends to what they were before."""
    before = dict(os.environ)
    try:
        yield
    finally:
        for name in os.environ.keys() - before.keys():
            del os.environ[name]
        for name, value in before.items():
            if os.environ.get(name) != value:
                os.environ[name] = value


@contextmanager
def replace_attribute(module_name: str, name: str, value: Any) -> Iterator[None]:
    """Within the block a module has this value by this name, if it has one at all."""
    try:
        module = import_module(module_name)
        former = getattr(module, name)
    except (ImportError, AttributeError):
        yield
        return
    setattr(module, name, value)
    try:
        yield
    finally:
        setattr(module, name, former)
