"""Child processes of the driver: how they are started, told of work, and ended.

No process pool of a library serves them (`concurrent.futures`, `multiprocessing.Pool`):

- The queues of a pool need semaphores. A driver that is killed, or that ends by `os._exit` after
  Ctrl-C, leaves them behind, and Python's resource tracker prints a warning on the terminal.
- A pool does not tell how a worker ended. A custom model that ends Python has to be refused, while
  a worker that was killed for its memory says nothing of the model.
- A pool answers one request after the other. The exporter is told of changes while it waits for
  MLflow, reports without being asked, and outlives a driver that is killed.

So a child is a `multiprocessing` process with a pipe. Where none of this matters, which is in an
actor of Ray, `sweep.resources.gpu_sharing.probe_process_pool` uses `concurrent.futures`.
"""

from __future__ import annotations

import atexit
import multiprocessing
import os
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from multiprocessing import resource_tracker
from multiprocessing.connection import Connection
from threading import Thread
from types import ModuleType
from typing import Concatenate, Generic, ParamSpec, TypeVar

from sweep.process.interrupts import ENDING_SIGNALS
from sweep.process.logs import LogOptions, configure_logging, log_options

Arguments = ParamSpec("Arguments")
Answer = TypeVar("Answer")


class ChildProcess(Generic[Answer]):
    """A child process that runs a function, with a pipe to this process.

    Ctrl-C, SIGTERM and SIGHUP, which reach every process of a terminal, do not end the child; it is
    killed if this process ends.

    Args:
        target: runs in the child; its first argument is the child's end of the pipe.
        arguments: the other arguments of `target`, which are pickled.
    """

    def __init__(
        self,
        target: Callable[Concatenate[Connection, Arguments], None],
        *arguments: Arguments.args,
        **named: Arguments.kwargs,
    ) -> None:
        context = multiprocessing.get_context("spawn")
        self._pipe, child_pipe = context.Pipe()
        self._process = context.Process(
            target=_run_target,
            args=(log_options(), target, child_pipe, *arguments),
            kwargs=named,
            daemon=True,
        )
        with spawn_conditions():
            self._process.start()
        child_pipe.close()  # so that the end of the child closes the pipe
        atexit.register(self.kill)  # multiprocessing would send SIGTERM, which is blocked

    @property
    def is_alive(self) -> bool:
        """Whether the child has not ended."""
        return self._process.is_alive()

    def send(self, item: object) -> None:
        """Send an object to the child; nothing happens if the child has ended."""
        with suppress(OSError):
            self._pipe.send(item)

    def has_answer(self, timeout_s: float = 0.0) -> bool:
        """Whether `receive` returns, or raises, at once; wait for up to `timeout_s`."""
        return self._pipe.poll(timeout_s)

    def receive(self) -> Answer:
        """Return what the child sent next; wait for it.

        Raises:
            EOFError: the child has ended.
        """
        try:
            answer: Answer = self._pipe.recv()
        except ConnectionError as error:
            raise EOFError from error
        return answer

    def wait(self) -> int:
        """Wait for the child to end; return its exit code, negative for a signal's number."""
        self._process.join()
        return self._process.exitcode or 0

    def kill(self) -> None:
        """End the child at once."""
        self._process.kill()
        self._process.join()
        atexit.unregister(self.kill)


def _run_target(
    logs: LogOptions,
    target: Callable[Concatenate[Connection, Arguments], None],
    pipe: Connection,
    *arguments: Arguments.args,
    **named: Arguments.kwargs,
) -> None:
    """Call `target` in the child, with the logging options of the parent."""
    configure_logging(logs)
    target(pipe, *arguments, **named)


@contextmanager
def spawn_conditions() -> Iterator[None]:
    """Within the block, `multiprocessing` starts processes in the way that `ChildProcess` needs.

    The processes start with the signals of a terminal blocked: a process that is still importing
    could not ignore them. They do not import the main module of this process, which `spawn` asks
    for: a script without `if __name__ == "__main__"` would run again, and a program that Python
    reads from standard input cannot be imported.
    """
    resource_tracker.ensure_running()  # which lets the signals through again when it starts
    blocked = signal.pthread_sigmask(signal.SIG_BLOCK, ENDING_SIGNALS)
    main_module = sys.modules["__main__"]
    sys.modules["__main__"] = ModuleType("__main__")
    try:
        yield
    finally:
        sys.modules["__main__"] = main_module
        signal.pthread_sigmask(signal.SIG_SETMASK, blocked)


def end_with_parent() -> None:
    """Have this process, a child, end as soon as its parent has ended."""
    Thread(target=_wait_for_parent, name="end with parent", daemon=True).start()


def _wait_for_parent() -> None:
    """Wait until the parent process ends, then end this process at once."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)
