"""In a process of its own: what is tested ends the process."""

from __future__ import annotations

import fcntl
import os
import signal
import subprocess
import sys
import termios
from pathlib import Path

import pytest

PROGRAM = """
import time
from sweep.process import interrupts

interrupts.LONGEST_STOP_S = {longest_s}
interrupts.install_handlers({stop})
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


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
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


def test_a_hangup_that_is_ignored_from_the_start_stays_ignored() -> None:
    program = PROGRAM.format(stop="None", longest_s=100, sleep_s=1)
    nohup = (
        "import os, signal; signal.signal(signal.SIGHUP, signal.SIG_IGN); os.execv({0!r}, {1!r})"
    )
    command = [sys.executable, "-c", program]
    process = subprocess.Popen(
        [sys.executable, "-c", nohup.format(sys.executable, command)],
        text=True,
        stdout=subprocess.PIPE,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    process.send_signal(signal.SIGHUP)
    assert process.communicate(timeout=60)[0] == "went on\n"
    assert process.returncode == 0


def test_a_terminal_that_goes_away_interrupts_in_order_and_breaks_nothing() -> None:
    """What is printed afterwards, by rich too, meets a terminal that is no more."""
    program = """
import os, sys, time
from pathlib import Path
from sweep.process import interrupts
from sweep.display.output import PipeSafeConsole

asked = []
interrupts.install_handlers(lambda: asked.append(1))
console = PipeSafeConsole()
console.print("ready")
while not asked:
    time.sleep(0.01)
console.print("after")
sys.stdout.flush()
Path(sys.argv[1]).write_text("in order")
os._exit(3)
"""
    main, side = os.openpty()
    place = Path("told")
    process = subprocess.Popen(
        [sys.executable, "-c", program, str(place)],
        stdin=side,
        stdout=side,
        stderr=side,
        start_new_session=True,
        preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),
    )
    os.close(side)
    while b"ready" not in os.read(main, 1000):
        pass
    os.close(main)  # the terminal's window is closed
    assert process.wait(timeout=60) == 3
    assert place.read_text() == "in order"


def test_a_console_goes_on_without_its_terminal() -> None:
    """Where the terminal dies after the signal, or without one."""
    program = """
import os, signal, sys, time
from pathlib import Path
from sweep.display.output import PipeSafeConsole

signal.signal(signal.SIGHUP, signal.SIG_IGN)
console = PipeSafeConsole()
console.print("ready")
time.sleep(1)
for _ in range(3):
    console.print("after")
Path(sys.argv[1]).write_text("went on")
"""
    main, side = os.openpty()
    place = Path("told")
    process = subprocess.Popen(
        [sys.executable, "-c", program, str(place)], stdin=side, stdout=side, stderr=side
    )
    os.close(side)
    while b"ready" not in os.read(main, 1000):
        pass
    os.close(main)
    assert process.wait(timeout=60) == 0
    assert place.read_text() == "went on"


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
