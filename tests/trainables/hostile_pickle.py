"""A pickle that would write a file if it were loaded without care."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import torch


class Executes:
    def __init__(self, target: Path) -> None:
        self.target = target

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.write_text, (self.target, "owned")


def hostile_payload(target: Path) -> bytes:
    buffer = io.BytesIO()
    torch.save({"trial_id": "0" * 12, "epoch": 1, "model": Executes(target)}, buffer)
    return buffer.getvalue()
