"""A worker reads what a user's own code names by a relative path where the command would."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import probe_data
import pytest
from trial_specs import shrink_trial

from sweep.execution.assignment import Assignment
from sweep.execution.attempt import Attempt
from trainables.spec import DataSpec


def test_a_relative_path_of_a_data_set_is_that_of_the_command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ray starts its workers in folders of their own, where the files are not."""
    folder, elsewhere = tmp_path / "command", tmp_path / "worker"
    for place in (folder / "files", elsewhere):
        place.mkdir(parents=True)
    np.savez(folder / "files" / "data.npz", **probe_data.blobs())
    (folder / "filed.py").write_text(
        "import numpy as np\n"
        "def load(path: str = 'files/data.npz'):\n"
        "    data = dict(np.load(path))\n"
        "    return {**data, 'num_classes': int(data['num_classes'])}\n"
    )
    monkeypatch.syspath_prepend(str(folder))
    monkeypatch.chdir(elsewhere)
    spec = shrink_trial(data=DataSpec(name="filed:load"))
    attempt = Attempt(
        Assignment(
            spec=spec,
            sweep_uri=str(tmp_path / "runs"),
            data_root=None,
            device="cpu",
            num_threads=1,
            folder=str(folder),
        )
    )
    attempt.begin()
    assert attempt.record.error is None
    assert attempt.record.num_train == 100
