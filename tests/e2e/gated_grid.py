"""A sweep that stops in the middle of its trials until the test lets it go on."""

from __future__ import annotations

from user_folder import Folder

GATED = """\
import time
from pathlib import Path
from torch import nn

class Norm(nn.GroupNorm):
    def __init__(self, num_channels):
        super().__init__(2, num_channels)
        self.calls = 0

    def forward(self, x):
        if self.training and x.device.type != "meta":
            self.calls += 1
            time.sleep(0.03)  # a worker tells of epochs once in a second, and then awaits the gate
        while self.calls > 12 and not Path(GATE).exists():
            time.sleep(0.05)
        return super().forward(x)
"""


def gated_grid(folder: Folder, norms: tuple[str, ...] = ("batchnorm", "gated:Norm")) -> None:
    """Two trials of each norm; those of `gated:Norm` train some epochs, then await `open_gate`."""
    gate = str(folder.path / "gate")
    (folder.path / "gated.py").write_text(GATED.replace("GATE", repr(gate)))
    factors = {"norm": list(norms), "batch_size": [16, 8], "seed": 1}
    train = {"epochs": 6, "optimizer": {"lr": 0.02}}
    folder.grid(factors=factors, train=train, reference=norms[0])


def open_gate(folder: Folder) -> None:
    (folder.path / "gate").touch()
