"""In a process of its own: what is tested ends the process."""

from __future__ import annotations

import signal
import subprocess
import sys

import pytest

PROGRAM = """
import time
from sweep import interrupts

interrupts.LONGEST_S = {longest_s}
interrupts.install({stop})
print("ready", flush=True)
time.sleep({sleep_s})
print("went on", flush=True)
"""
IN_ORDER = "interrupted: trials are being put aside; once more to end at once"
AT_ONCE = "interrupted; run the same command again to go on"


def start(stop: str, longest_s: float, sleep_s: float) -> subprocess.Popen[str]:
    program = PROGRAM.format(stop=stop, longest_s=longest_s, sleep_s=sleep_s)
    process = subprocess.Popen(
        [sys.executable, "-c", program], text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    return process


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_at_once_where_nothing_trains(number: signal.Signals) -> None:
    process = start("None", longest_s=100, sleep_s=100)
    process.send_signal(number)
    assert process.communicate(timeout=60) == ("", f"{AT_ONCE}\n")
    assert process.returncode == 3


def test_in_order_where_trials_train_and_at_once_the_second_time() -> None:
    process = start("lambda: None", longest_s=100, sleep_s=100)
    process.send_signal(signal.SIGINT)
    assert process.stderr is not None
    assert process.stderr.readline() == f"{IN_ORDER}\n"
    process.send_signal(signal.SIGINT)
    assert process.communicate(timeout=60) == ("", f"{AT_ONCE}\n")
    assert process.returncode == 3


def test_what_does_not_end_in_order_ends_nevertheless() -> None:
    process = start("lambda: None", longest_s=0.2, sleep_s=100)
    process.send_signal(signal.SIGTERM)
    assert process.communicate(timeout=60) == ("", f"{IN_ORDER}\n{AT_ONCE}\n")
    assert process.returncode == 3


def test_what_ends_in_order_is_not_waited_for() -> None:
    process = start("lambda: None", longest_s=100, sleep_s=0.5)
    process.send_signal(signal.SIGTERM)
    assert process.communicate(timeout=60)[0] == "went on\n"
    assert process.returncode == 0
