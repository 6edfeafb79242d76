"""Whether NVIDIA's Multi-Process Service runs: with it processes share a GPU at the same moment.

Without it they take turns. It is looked for and never started: a daemon on somebody's machine is
their affair.
"""

from __future__ import annotations

import os
import shutil
from enum import StrEnum
from pathlib import Path

CONTROL = "nvidia-cuda-mps-control"
PIPES = "/tmp/nvidia-mps"
"""Where NVIDIA puts them unless `CUDA_MPS_PIPE_DIRECTORY` says otherwise."""


class Mps(StrEnum):
    """How it stands with MPS on this machine."""

    ON = "on"
    OFF = "off"
    MISSING = "missing"


def mps_state() -> Mps:
    """Looks for the daemon's process in the folder of its pipes, and for the program."""
    folder = Path(os.environ.get("CUDA_MPS_PIPE_DIRECTORY") or PIPES)
    try:
        os.kill(int((folder / f"{CONTROL}.pid").read_text()), 0)
        return Mps.ON
    except PermissionError:  # alive, and another user's
        return Mps.ON
    except (OSError, ValueError, OverflowError):
        return Mps.OFF if shutil.which(CONTROL) else Mps.MISSING


def format_mps_state(found: Mps) -> str:
    """What to say of it after a number of trials per GPU."""
    if found is Mps.OFF:
        return f"MPS is off (`{CONTROL} -d` starts it, see docs/gpus.md)"
    return f"MPS is {found}"
