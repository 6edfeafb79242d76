"""Cells tried in a process of their own: the same findings, and nothing of PyTorch here."""

from __future__ import annotations

import os
import pickle
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from small_grids import load, write

from sweep.planning.cell_checks import check_cells

SCRIPT = """
import pickle, sys
from sweep.errors import RefusedError
from sweep.planning.cell_checks import check_cells_in_subprocess
from sweep.grid.model import load_grid

if __name__ == "__main__":
    did = []
    try:
        found = check_cells_in_subprocess(load_grid("grid.yaml"), lambda: did.append("did"))
    except RefusedError as refused:
        found = refused
    assert did == ["did"]
    print("torch" in sys.modules, pickle.dumps(found).hex())
"""
MODEL = """
import os
from torch import nn

def net(in_channels, num_classes, norm):
    print("my own network")
    os._exit(7)
"""
FORGETS = """
from torch import nn

class Forgets(nn.BatchNorm2d):
    steps = 0

    def forward(self, x):
        self.steps += self.training
        return super().forward(x)
"""
LONG: dict[str, Any] = {
    "model": {"name": "resnet152"},
    "factors": {"norm": ["batchnorm"], "batch_size": list(range(2, 60)), "seed": 1},
}
"""Half a minute of cells."""


def started() -> subprocess.Popen[str]:
    Path("examined.py").write_text(SCRIPT)
    return subprocess.Popen(
        [sys.executable, "examined.py"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )


def found_beside(*, has_torch: bool = False, **changes: object) -> object:
    write(**changes)
    return answered(started(), has_torch=has_torch)


def answered(process: subprocess.Popen[str], *, has_torch: bool = False) -> object:
    printed, complaints = process.communicate(timeout=100)
    assert (process.returncode, complaints.replace("my own network\n", "")) == (0, "")
    torch_is_here, found = printed.split()
    assert torch_is_here == str(has_torch)
    return pickle.loads(bytes.fromhex(found))


def test_the_findings_are_those_of_this_process() -> None:
    train = {"epochs": 3, "threshold": 0.4}
    found, here = found_beside(train=train), check_cells(load(train=train))
    assert found == here
    assert here.notes[0].startswith("train.threshold: 0.4")


@pytest.mark.parametrize("program", ["file", "standard input"])
def test_a_program_without_a_guard_is_not_run_again(program: str) -> None:
    write()
    code = SCRIPT.replace('if __name__ == "__main__":', 'print("once")\nif True:')
    Path("program.py").write_text(code)
    done = subprocess.run(
        [sys.executable, "program.py" if program == "file" else "-"],
        input=code if program == "standard input" else None,
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    once, torch_is_here, _ = done.stdout.split()
    assert (once, torch_is_here, done.stderr) == ("once", "False", "")


def test_a_refusal_has_the_same_lines() -> None:
    size = {"factors": {"norm": ["batchnorm"], "batch_size": [3000], "seed": 1}}
    refused = found_beside(**size)
    assert isinstance(refused, Exception)
    with pytest.raises(type(refused)) as here:
        check_cells(load(**size))
    assert here.value.args == refused.args


def test_where_it_is_killed_the_cells_are_tried_here() -> None:
    write()
    process = started()
    os.kill(child_of(process), signal.SIGKILL)
    assert answered(process, has_torch=True) == check_cells(load())


def test_a_model_that_ends_python_is_refused() -> None:
    Path("own_nets.py").write_text(MODEL)
    refused = found_beside(model={"name": "own_nets:net"}, has_torch=True)
    assert str(refused).endswith(": Python was ended (exit code 7) while its cells were tried")


def test_it_ends_with_whoever_asked() -> None:
    write(**LONG)
    process = started()
    beside = child_of(process)
    process.kill()
    process.wait()
    deadline = time.monotonic() + 15
    while state_of(beside) != "Z":
        assert time.monotonic() < deadline, "it goes on"
        time.sleep(0.1)
    process.communicate()


def child_of(process: subprocess.Popen[str]) -> int:
    """The process that tries the cells, once it is there."""
    while True:
        assert process.poll() is None
        for pid in Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split():
            if "spawn_main" in Path(f"/proc/{pid}/cmdline").read_text():
                return int(pid)
        time.sleep(0.05)


def state_of(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return "Z"


def test_state_that_checkpoints_do_not_hold_is_a_warning_once_for_a_norm() -> None:
    Path("forgets.py").write_text(FORGETS)
    levels = {"norm": ["batchnorm", "forgets:Forgets"], "batch_size": [16, 8], "seed": 2}
    (line,) = check_cells(load(factors=levels)).warnings
    assert line.startswith("forgets:Forgets in resnet8: norm1 (Forgets) and 8 more change `steps`")
