"""`run --retry`: a layer that fails until a file is there is trained again, and nothing else is."""

from __future__ import annotations

import pytest
from user_folder import Folder

LAYER = """
from pathlib import Path
from torch import nn

class Mended(nn.GroupNorm):
    def __init__(self, num_channels):
        super().__init__(2, num_channels)
    def forward(self, x):
        if x.requires_grad and not Path({place!r}).exists():
            raise RuntimeError("the file is not there")
        return super().forward(x)
"""


@pytest.mark.slow
def test_what_failed_is_trained_again_where_that_is_asked_for(folder: Folder) -> None:
    place = folder.path / "mended"
    (folder.path / "layers.py").write_text(LAYER.format(place=str(place)))
    norms = ["batchnorm", "layers:Mended"]
    folder.grid(factors={"norm": norms, "batch_size": [16, 8], "seed": 1})
    failed = folder.sweep("run", "grid.yaml")
    assert failed.returncode == 1, failed.stdout + failed.stderr
    assert "4 trials: 2 completed, 2 failed; trained now: 4" in failed.stdout
    assert "`norm-sweep run grid.yaml --retry failed` trains them again" in failed.stdout
    tracebacks = sorted(folder.path.glob("runs/small/trials/*/traceback.txt"))
    assert len(tracebacks) == 2
    status = folder.sweep("status", "grid.yaml").stdout
    assert all(str(traceback) in status for traceback in tracebacks)
    before = folder.records()

    place.touch()
    again = folder.sweep("run", "grid.yaml")
    assert again.returncode == 1, again.stdout + again.stderr
    assert "2 failed; trained now: 0" in again.stdout
    assert folder.records() == before

    refused = folder.sweep("run", "grid.yaml", "--retry", "completed")
    assert (refused.returncode, refused.stdout) == (2, "")
    said = "--retry: expected failed or out_of_memory, found 'completed'\n"
    assert refused.stderr == said
    assert folder.records() == before

    retried = folder.sweep("run", "grid.yaml", "--retry", "failed")
    assert retried.returncode == 0, retried.stdout + retried.stderr
    assert "4 trials: 4 completed; trained now: 2" in retried.stdout
    for trial_id, record in folder.records().items():
        was = before[trial_id]
        assert record == was if was["outcome"] == "completed" else record["error"] is None
    assert not list(folder.path.glob("runs/small/trials/*/traceback.txt"))
    assert "\n4 trials: 4 completed\n" in folder.sweep("status", "grid.yaml").stdout
    assert folder.mlflow_rows("select status from runs") == [("FINISHED",)] * 4
    assert folder.mlflow_rows("select * from tags where key = 'sweep.error'") == []
