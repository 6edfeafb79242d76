"""Decides whether the workers that Ray starts with itself, one a core, import PyTorch at once.

Trials are trained by these very processes. That they are ready when the first one is handed out
saves a second or two of every sweep's start; but one that is not needed would hold PyTorch's 350 MB
for as long as the sweep lasts.
"""

from __future__ import annotations

import logging
import os
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path

from sweep.grid.model import Grid
from sweep.resources.ray_compat import preload_modules

logger = logging.getLogger(__name__)

PRELOADED_MODULES = ("ray.tune", "torch", "trainables.training", "sweep.execution.trainable")
GPU_DRIVERS = ("/dev/nvidiactl", "/dev/kfd")


def preload_workers(grid: Grid, num_trials: int) -> AbstractContextManager[None]:
    """Within the block, Ray's first workers import PyTorch when they start, before any trial.

    Nothing is changed unless `most_cores_will_train`.
    """
    if most_cores_will_train(grid, num_trials, os.cpu_count() or 1):
        logger.info("Ray's workers import PyTorch when they start")
        return preload_modules(PRELOADED_MODULES)
    return nullcontext()


def most_cores_will_train(grid: Grid, num_trials: int, num_cores: int) -> bool:
    """Return whether at least half of the cores will train a trial each."""
    on_gpu = grid.resources.gpu != 0 and any(Path(driver).exists() for driver in GPU_DRIVERS)
    num_slots = num_cores // grid.resources.cpu
    return not on_gpu and 2 * min(num_slots, num_trials) >= num_cores
