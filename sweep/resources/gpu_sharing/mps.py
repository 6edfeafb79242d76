"""Whether NVIDIA's Multi-Process Service (MPS) runs on this machine.

With MPS processes use a GPU at the same moment, without MPS they take turns. This program never
starts the service: whether it runs is for the machine's owner to decide.
"""

from __future__ import annotations

import os
import shutil
from enum import StrEnum
from pathlib import Path

MPS_PROGRAM = "nvidia-cuda-mps-control"
MPS_PIPE_FOLDER = "/tmp/nvidia-mps"
"""Folder of the service's pipes, unless `CUDA_MPS_PIPE_DIRECTORY` names another."""


class Mps(StrEnum):
    """State of NVIDIA's Multi-Process Service: running, stopped, or not installed."""

    ON = "on"
    OFF = "off"
    MISSING = "missing"


def mps_state() -> Mps:
    """Return the state of MPS, from the daemon's process and the installed program."""
    folder = Path(os.environ.get("CUDA_MPS_PIPE_DIRECTORY") or MPS_PIPE_FOLDER)
    try:
        os.kill(int((folder / f"{MPS_PROGRAM}.pid").read_text()), 0)
        return Mps.ON
    except PermissionError:  # alive, and another user's
        return Mps.ON
    except (OSError, ValueError, OverflowError):
        return Mps.OFF if shutil.which(MPS_PROGRAM) else Mps.MISSING


def format_mps_state(state: Mps) -> str:
    """Return the state of MPS in words, with the command that starts it."""
    if state is Mps.OFF:
        return f"MPS is off (`{MPS_PROGRAM} -d` starts it, see docs/gpus.md)"
    return f"MPS is {state}"
