"""Where log messages go, in processes of their own: handlers belong to a whole process."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from sweep.process.logs import LogOptions, configure_logging, log_arguments, log_options

MESSAGES = """
import logging, sys
from sweep.process.logs import LogOptions, configure_logging
{setup}
logger = logging.getLogger("sweep.some.module")
logger.debug("a detail")
logger.info("a step")
logger.warning("a doubt %s", "\\x1b[31mred")
logging.getLogger("somelibrary").warning("of a library")
logging.getLogger("somelibrary").info("chatter")
"""


def messages(setup: str) -> str:
    """What reaches standard error of a process that logs; its standard output stays empty."""
    command = [sys.executable, "-c", MESSAGES.format(setup=setup)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout == ""
    return done.stderr


def test_without_options_no_message_of_this_program_is_printed() -> None:
    assert messages("") == "of a library\n"  # as Python itself does it


def test_verbose_prints_steps_to_standard_error() -> None:
    lines = messages("configure_logging(LogOptions(verbose=True))").splitlines()
    assert lines[2] == "of a library"
    assert [line.partition("] ")[2] for line in lines[:2]] == ["a step", r"a doubt \x1b[31mred"]
    pattern = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z INFO sweep\.some\.module \[\d+\] a step"
    assert re.fullmatch(pattern, lines[0])


def test_a_file_gets_details_and_the_warnings_of_libraries(tmp_path: Path) -> None:
    file = tmp_path / "run.log"
    file.write_text("earlier\n")
    assert messages(f"configure_logging(LogOptions(file={str(file)!r}))") == ""
    earlier, *lines = file.read_text().splitlines()
    assert earlier == "earlier"
    texts = [line.partition("] ")[2] for line in lines]
    assert texts == ["a detail", "a step", r"a doubt \x1b[31mred", "of a library"]


def test_new_options_replace_the_former_ones(tmp_path: Path) -> None:
    file = tmp_path / "run.log"
    setup = (
        f"configure_logging(LogOptions(verbose=True, file={str(file)!r})); "
        "configure_logging(LogOptions())"
    )
    assert messages(setup) == "of a library\n"
    assert file.read_text() == ""


def test_a_file_that_cannot_be_written_leaves_the_options_as_they_were(tmp_path: Path) -> None:
    before = log_options()
    with pytest.raises(OSError, match="No such file"):
        configure_logging(LogOptions(file=str(tmp_path / "missing" / "run.log")))
    assert log_options() == before


def test_a_command_that_is_started_gets_the_same_options(tmp_path: Path) -> None:
    assert log_arguments() == []
    try:
        configure_logging(LogOptions(verbose=True, file=str(tmp_path / "run.log")))
        assert log_arguments() == ["--verbose", "--log-file", str(tmp_path / "run.log")]
    finally:
        configure_logging(LogOptions())
    assert log_arguments() == []
