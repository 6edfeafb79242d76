"""A process that trains a workload on a device while other processes do the same."""

from __future__ import annotations

import gc
import multiprocessing
import os
from collections.abc import Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sweep.process.child_process import end_with_parent, spawn_conditions
from sweep.process.import_order import put_custom_modules_last
from trainables.spec import TrialSpec

if TYPE_CHECKING:
    from trainables.workload import DeviceMemory, Workload


@dataclass(frozen=True)
class WorkloadSpec:
    """The trials that one worker trains, and how.

    Attributes:
        specs: one trial, or several that differ in their seed alone.
        width: how many trials are trained as one network; None: as many as are fastest.
        data_root: folder of the data sets; None: the default one.
        num_threads: CPU threads of the process.
        device: `cuda` or `cpu`.
        cuda_graphs: whether steps are replayed from a CUDA graph, where that works.
    """

    specs: tuple[TrialSpec, ...]
    width: int | None
    data_root: str | None
    num_threads: int
    device: str
    cuda_graphs: bool


class ProbeProcess:
    """A pool of one process, which keeps a workload between two calls.

    Args:
        import_paths: folders in which the process finds custom modules.
    """

    def __init__(self, import_paths: Sequence[str] = ()) -> None:
        self._executor = ProcessPoolExecutor(
            max_workers=1,
            mp_context=multiprocessing.get_context("spawn"),
            initializer=_initialise_process,
            initargs=(tuple(import_paths),),
        )
        others = set(multiprocessing.active_children())
        with spawn_conditions():
            self._executor.submit(os.getpid)  # the executor starts its process for the first call
        (self._process,) = set(multiprocessing.active_children()) - others

    @property
    def pid(self) -> int | None:
        """Id of the process."""
        return self._process.pid

    def prepare(self, workload: WorkloadSpec) -> Future[DeviceMemory]:
        """Have the process build a workload and take its first steps.

        Returns:
            The memory that the process then uses; `RuntimeError` where a trial does not train, and
            its subclass `BrokenProcessPool` where the process has died.
        """
        return self._executor.submit(_build_workload, workload)

    def train(self, seconds: float) -> Future[float]:
        """Have the process train the prepared workload; return its steps per second."""
        return self._executor.submit(_train_workload, seconds)

    def kill(self) -> None:
        """End the process, whatever it does."""
        self._process.kill()
        self._executor.shutdown()


_workload: Workload | None = None
"""The workload of this process, if it is a `ProbeProcess`."""


def _initialise_process(import_paths: tuple[str, ...]) -> None:
    """Prepare a new process of the pool: end it with its parent, silence it, set import paths."""
    end_with_parent()  # a pool's process would outlive a killed parent
    devnull = os.open(os.devnull, os.O_WRONLY)
    for stream in (1, 2):  # what custom layers print
        os.dup2(devnull, stream)
    put_custom_modules_last(import_paths)


def _build_workload(spec: WorkloadSpec) -> DeviceMemory:
    """Build the workload in the pool's process, warm it up, and return the memory that it uses."""

    import torch

    from trainables.errors import describe_error
    from trainables.workload import Workload

    global _workload
    _workload = None
    gc.collect()
    torch.set_num_threads(spec.num_threads)
    if spec.device == "cuda":
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats()
    try:
        workload = Workload(
            spec.specs,
            width=spec.width,
            data_root=spec.data_root,
            device=spec.device,
            cuda_graphs=spec.cuda_graphs,
        )
        workload.warm_up()
    except (Exception, SystemExit) as error:  # which a custom layer may make impossible to pickle
        raise RuntimeError(describe_error(error)) from None
    _workload = workload
    return workload.memory()


def _train_workload(seconds: float) -> float:
    """Train the workload of this process for `seconds`; return its steps per second."""

    from trainables.errors import describe_error

    global _workload
    if _workload is None:
        raise RuntimeError("no workload is prepared")
    try:
        return _workload.train_for(seconds)
    except (Exception, SystemExit) as error:
        _workload = None
        raise RuntimeError(describe_error(error)) from None
