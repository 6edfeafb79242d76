"""Measured compile times and speed-ups of a cell's step, kept on disk for later trials.

A file per cell, beside what torch's compiler keeps, in `$NORM_SWEEP_CACHE`, else in
`~/.cache/norm-sweep`. No result depends on the files, and they may be deleted at any time.
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

CACHE_VARIABLE = "NORM_SWEEP_CACHE"
"""The environment variable that names the cache folder."""


LAYER_COMPILE_S = 1.5
"""Estimated seconds of compilation for each layer: BatchNorm's 29 in a ResNet-8 took 11 to 37 s on
one core."""


def cache_folder() -> Path:
    """Return the folder of statistics and compiled steps; it may not exist."""
    return Path(os.environ.get(CACHE_VARIABLE) or "~/.cache/norm-sweep").expanduser().absolute()


def cell_key(spec: TrialSpec, dataset: Dataset, num_networks: int = 1) -> str:
    """Return a JSON text of everything that a compiled step and its time depend on."""
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
        "device": _device_name(dataset.train.images.device),
        "num_threads": torch.get_num_threads(),
        "torch": torch.__version__,
        "forward_and_backward": "one function",  # what was noted of two says nothing
    }
    return json.dumps(what, sort_keys=True)


def read_statistics(cell: str) -> CompileStatistics | None:
    """Return the stored statistics of a cell; None if there are none."""
    with suppress(OSError, ValueError, TypeError, KeyError):
        noted = json.loads(_statistics_file(cell).read_bytes())
        share = noted["share"]
        return CompileStatistics(float(noted["compile_s"]), None if share is None else float(share))
    return None


def write_statistics(cell: str, known: CompileStatistics) -> None:
    """Store the statistics of a cell; if the file cannot be written, later trials measure again."""
    file = _statistics_file(cell)
    unfinished = file.with_suffix(f".{uuid.uuid4().hex}")
    row = {"compile_s": known.compile_s, "share": known.share, "cell": json.loads(cell)}
    with suppress(OSError):
        file.parent.mkdir(parents=True, exist_ok=True)
        unfinished.write_text(json.dumps(row, indent=1) + "\n")
        unfinished.replace(file)


def estimate_statistics(model: nn.Module) -> CompileStatistics:
    """Return a high estimate of the compile time for a model without stored statistics."""
    num_layers = sum(1 for layer in model.modules() if not any(True for _ in layer.children()))
    return CompileStatistics(LAYER_COMPILE_S * num_layers)


def _statistics_file(cell: str) -> Path:
    """Return the file that holds the compile statistics of a cell."""
    name = hashlib.sha256(cell.encode()).hexdigest()[:16]
    return cache_folder() / "compilation" / f"{name}.json"


def _device_name(device: torch.device) -> str:
    """Return the GPU's name, or the CPU's architecture and vector instructions."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    return f"{platform.machine()} {torch.backends.cpu.get_cpu_capability()}"
