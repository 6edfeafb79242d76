"""What compiling a cell's step cost and brought on this machine, kept for later trials of it.

A file per cell, beside what torch's compiler keeps, in `$NORM_SWEEP_CACHE`, else in
`~/.cache/norm-sweep`. No result depends on them, and they may be deleted at any time.
"""

from __future__ import annotations

import hashlib
import json
import os
import platform
import uuid
from contextlib import suppress
from pathlib import Path
from typing import Any

import torch
from torch import nn

from trainables.data.load import Dataset
from trainables.spec import TrialSpec, spec_to_dict
from trainables.stepping.policy import CompileStatistics

VARIABLE = "NORM_SWEEP_CACHE"

LAYER_S = 1.5
"""Seconds of compilation for each layer, where nothing is known: BatchNorm's 29 in a ResNet-8 took
11 to 37 s on one core."""


def cache_folder() -> Path:
    """Where notes and compiled steps are kept; it may not exist."""
    return Path(os.environ.get(VARIABLE) or "~/.cache/norm-sweep").expanduser().absolute()


def cell_of(spec: TrialSpec, dataset: Dataset, num_networks: int = 1) -> str:
    """Names what a compiled step depends on, and what its time does."""
    what: dict[str, Any] = {
        "norm": spec_to_dict(spec.norm),
        "model": spec_to_dict(spec.model),
        "batch_size": spec.batch_size,
        "image_shape": list(dataset.train.images.shape[1:]),
        "num_classes": dataset.num_classes,
        "deterministic": spec.train.deterministic,
        "precision": spec.train.precision,
        "channels_last": spec.train.channels_last,
        "num_networks": num_networks,
        "device": _named(dataset.train.images.device),
        "num_threads": torch.get_num_threads(),
        "torch": torch.__version__,
        "forward_and_backward": "one function",  # what was noted of two says nothing
    }
    return json.dumps(what, sort_keys=True)


def read(cell: str) -> CompileStatistics | None:
    """What is known of a cell, if anything is."""
    with suppress(OSError, ValueError, TypeError, KeyError):
        noted = json.loads(_file(cell).read_bytes())
        share = noted["share"]
        return CompileStatistics(float(noted["compile_s"]), None if share is None else float(share))
    return None


def write(cell: str, known: CompileStatistics) -> None:
    """Keep it; where that cannot be, later trials measure again."""
    file = _file(cell)
    unfinished = file.with_suffix(f".{uuid.uuid4().hex}")
    row = {"compile_s": known.compile_s, "share": known.share, "cell": json.loads(cell)}
    with suppress(OSError):
        file.parent.mkdir(parents=True, exist_ok=True)
        unfinished.write_text(json.dumps(row, indent=1) + "\n")
        unfinished.replace(file)


def expected(model: nn.Module) -> CompileStatistics:
    """What compiling is thought to cost where nothing is known: more than it did anywhere yet."""
    num_layers = sum(1 for layer in model.modules() if not any(True for _ in layer.children()))
    return CompileStatistics(LAYER_S * num_layers)


def _file(cell: str) -> Path:
    name = hashlib.sha256(cell.encode()).hexdigest()[:16]
    return cache_folder() / "compilation" / f"{name}.json"


def _named(device: torch.device) -> str:
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    return f"{platform.machine()} {torch.backends.cpu.get_cpu_capability()}"
