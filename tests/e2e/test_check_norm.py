"""`check-norm` on a layer of a user's own: what is wrong is named, what holds is not."""

from __future__ import annotations

from user_folder import Folder

LAYERS = """
import torch
from torch import nn

class Sound(nn.GroupNorm):
    def __init__(self, num_channels, *, num_groups=4):
        super().__init__(num_groups, num_channels)

class Forgets(nn.Module):
    def __init__(self, num_channels):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(num_channels))
        self.mean = torch.zeros(num_channels)  # no buffer
    def forward(self, x):
        if self.training:
            self.mean = 0.9 * self.mean + 0.1 * x.detach().mean((0, 2, 3))
        return (x - self.mean[:, None, None]) * self.weight[:, None, None]
"""


def test_a_layer_that_forgets_its_state_is_told_so(folder: Folder) -> None:
    (folder.path / "layers.py").write_text(LAYERS)
    broken = folder.sweep("check-norm", "layers:Forgets")
    assert broken.returncode == 1, broken.stderr
    failed = [line.split()[1] for line in broken.stdout.splitlines() if line.startswith("FAIL")]
    assert "state_round_trip" in failed
    sound = folder.sweep("check-norm", "layers:Sound", "num_groups=8")
    lines = {line.split()[1]: line.split()[0] for line in sound.stdout.splitlines()}
    assert lines["state_round_trip"] == lines["batch_independence"] == "pass"


def test_what_there_is_not_is_refused_in_a_line(folder: Folder) -> None:
    for arguments in (["nowhere:Layer"], ["groupnorm", "num_group=8"], ["groupnorm", "8"]):
        done = folder.sweep("check-norm", *arguments)
        assert done.returncode == 2
        assert done.stdout == ""
        assert len(done.stderr.splitlines()) == 1


def test_an_option_of_another_kind_is_refused_as_in_a_grid(folder: Folder) -> None:
    (folder.path / "layers.py").write_text(LAYERS)
    done = folder.sweep("check-norm", "layers:Sound", "num_groups=four")
    assert done.returncode == 2
    assert "option 'num_groups': expected a whole number such as 4, found 'four'" in done.stderr
