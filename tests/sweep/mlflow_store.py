"""How tests ask an MLflow store: a statement and its values give rows."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

Query = Callable[..., list[tuple[Any, ...]]]
