"""Everything in this program that depends on the insides of Ray and Tune.

Each function says which behaviour of Ray or Tune it works around and what its removal needs.
`pyproject.toml` promises Ray 2.50; all of this is needed as of Ray 2.60. To see whether a function
can go: make its body return at once and run the tests that its docstring names against the newest
Ray (`make test-newest TESTS=…`). Nothing here fails where a later Ray has lost the detail that is
replaced: the function then leaves Ray as it is.

Importing this module does not import Ray.
"""

from __future__ import annotations

import logging
import os
import pickle
import re
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager, suppress
from importlib import import_module
from pathlib import Path
from typing import Any

from sweep.process.environment import environment_variable

RAY_VARIABLES = {
    "RAY_AIR_NEW_OUTPUT": "0",  # Tune prints no tables of its own
    "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1",  # no CSV, JSON and TensorBoard files per trial
    "TUNE_PRINT_ALL_TRIAL_ERRORS": "0",
    "RAY_SCHEDULER_EVENTS": "0",
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",  # CUDA_VISIBLE_DEVICES stays as it is without a GPU
    "TUNE_WARN_EXCESSIVE_EXPERIMENT_CHECKPOINT_SYNC_THRESHOLD_S": "0",
    "TUNE_GLOBAL_CHECKPOINT_S": "1e9",  # a sweep resumes from its records, not from Tune's state
    "RAY_USAGE_STATS_ENABLED": "0",
    "TUNE_DISABLE_SIGINT_HANDLER": "1",  # this program's handler suspends the trials first
    "RAY_DEDUP_LOGS_SKIP_REGEX": ".*",  # the driver reports a lost worker itself
}
"""Environment variables that this program sets in its process before it imports Ray."""

LOG_SIZE_VARIABLES = {"RAY_ROTATION_MAX_BYTES": "10000000", "RAY_ROTATION_BACKUP_COUNT": "1"}
"""Bounds on the files that hold a worker's output, unless the user has set other ones."""

RAY_LOGGERS = ("ray", "ray.tune", "ray.train", "ray.air")

PRELOAD_VARIABLE = "RAY_preload_python_modules"
PENDING_VARIABLE = "TUNE_MAX_PENDING_TRIALS_PG"

SESSION_PATTERN = "session_*"
LATEST_SESSION = "session_latest"
LONGEST_SOCKET_NAME = "session_2000-01-01_00-00-00_000000_{pid}/sockets/plasma_store"
"""The longest path of a socket that Ray makes below its temporary folder."""

_START_TIMEOUT = re.compile(r"timed[ -]?out|timeout", re.IGNORECASE)


def import_ray() -> None:
    """Import Ray and Tune, which takes a second or two, and make them print nothing.

    Works around: Ray and Tune read these variables when they are imported, and have no other
    settings for most of them. Needed for as long as one of the variables is read.
    """
    os.environ.update(RAY_VARIABLES)
    for name, value in LOG_SIZE_VARIABLES.items():
        os.environ.setdefault(name, value)
    # In a notebook this one says, as soon as it is imported, that ipywidgets is missing.
    logging.getLogger("ray.widgets").setLevel(logging.CRITICAL)
    import ray.tune  # noqa: F401

    for name in RAY_LOGGERS:
        logging.getLogger(name).setLevel(logging.CRITICAL)


def job_config_without_working_folder() -> Any:
    """Return the settings of a job whose workers import nothing from the driver's folder.

    Works around: Ray puts the driver's working folder before everything else on the workers'
    `sys.path`, so that a user's `random.py` would replace Python's own. A worker finds a user's
    modules in the grid's import paths, after everything else. Can go when `JobConfig` has a public
    setting for this. Tests: tests/e2e/test_shadowed_modules.py.
    """
    from ray.job_config import JobConfig

    class JobConfigWithoutWorkingFolder(JobConfig):
        """A job config that pretends to have a working folder, so that Ray adds none."""

        def _runtime_env_has_working_dir(self) -> bool:
            """Return True, which keeps Ray from adding the driver's folder."""
            return True  # what Ray asks before it adds the folder

    return JobConfigWithoutWorkingFolder()


def is_start_timeout(error: Exception) -> bool:
    """Return whether `ray.init` failed because Ray's processes were not up in time.

    Works around: Ray raises a plain `Exception`, so only its message tells. Can go when Ray raises
    an error of its own kind. Tests: tests/sweep/resources/test_ray_start.py.
    """
    return _START_TIMEOUT.search(str(error)) is not None


@contextmanager
def extended_node_wait(seconds: float) -> Iterator[None]:
    """Within the block `ray.init` waits up to `seconds` for the node that it starts.

    Works around: `ray.init` asks for its node for 30 s, a number that cannot be set, which is too
    short on a busy machine. Within the block each of its questions waits for the answer itself.
    Can go when the time can be set. Tests: tests/sweep/resources/test_ray_start.py.
    """
    from ray._private import services

    get_node: Callable[..., Any] = services.get_node
    deadline = time.monotonic() + seconds

    def wait_for_node(*arguments: Any, **named: Any) -> Any:
        """Call Ray's own function for the node again and again until it succeeds or time is up."""
        while True:
            try:
                return get_node(*arguments, **named)
            except RuntimeError:
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.5)

    with replaced_attribute("ray._private.services", "get_node", wait_for_node):
        yield


def started_session_folder() -> Path | None:
    """Return the folder of the Ray that this process has started, None if it cannot be known.

    Works around: Ray has no public name for the folder of its logs and sockets. Can go when
    `ray.get_runtime_context()` or the like has one. Tests: tests/e2e/test_rays_folder.py.
    """
    with suppress(ImportError, AttributeError):
        from ray._private import worker

        node: Any = worker._global_node
        return Path(node.get_session_dir_path())
    return None


def session_pattern_of(pid: int) -> str:
    """Return the glob pattern of the session folders that the process `pid` has started.

    Works around: a Ray that fails to start does not say where its logs are, but the folder's name
    ends in the process's id. Tests: tests/sweep/resources/test_temporary_folder.py.
    """
    return f"{SESSION_PATTERN}_{pid}"


def autoscaled_nodes() -> list[dict[str, float]]:
    """Return the resources of each node that the cluster's launcher may start.

    Works around: the public API lists the nodes that are there, not those that an autoscaler may
    add. Can go when Ray publishes the cluster's limits. Tests: tests/e2e/test_ray_cluster.py.

    Returns:
        For each possible node the amounts by resource; empty where no node is started on demand.
    """
    nodes: list[dict[str, float]] = []
    with suppress(ImportError, AttributeError, RuntimeError):
        from ray._private.state import state

        config = state.get_cluster_config()
        for group in config.node_group_configs if config else ():
            nodes += [dict(group.resources)] * max(0, group.max_count)
    return nodes


def preload_modules(names: Sequence[str]) -> AbstractContextManager[None]:
    """Within the block a Ray that is started imports these modules in its first workers.

    Works around: a worker imports PyTorch when its first trial starts, which takes seconds; Ray
    has this setting only as an undocumented variable of its raylet. A variable that the user has
    set stays. Tests: tests/sweep/execution/test_worker_preload.py.
    """
    return environment_variable(PRELOAD_VARIABLE, ",".join(names))


def limit_pending_trials(number: int) -> AbstractContextManager[None]:
    """Within the block Tune asks for workers for at most `number` trials beyond the running ones.

    Works around: by default Tune asks for 200, and gives any of them to two workers that become
    free in the same moment, so that the trials' order is lost. At least as many as a cluster has
    slots at its largest are needed: it grows with what is pending. A variable that the user has
    set stays. Tests: tests/sweep/execution/test_trial_order.py.
    """
    return environment_variable(PENDING_VARIABLE, str(number))


def trials_with_starting_worker(tune_controller: Any) -> set[Any]:
    """Return the Tune trials whose worker has its resources and is not ready yet.

    Works around: a scheduler learns from Tune only which trials are pending; a pending trial whose
    worker starts would lose that worker to another trial. Can go when Tune ends no starting worker
    for a free one. Tests: tests/sweep/execution/test_trial_order.py.
    """
    try:
        controller = tune_controller._tune_controller
        with_resources = controller._actor_manager._live_actors_to_ray_actors_resources
        return {
            trial
            for trial, actor in controller._trial_to_actor.items()
            if actor in with_resources and actor not in controller._started_actors
        }
    except AttributeError:
        return set()


@contextmanager
def skip_tune_startup() -> Iterator[None]:
    """Within the block Tune uses the workers that Ray has started, and imports no trackers.

    Works around two delays of a second before the first trial. With an environment variable of
    its own (for Lightning) Tune asks for a new process for each actor; and for usage statistics,
    which are off, it imports every tracker to look for its callbacks. Can go when Tune does
    neither. Tests: tests/sweep/resources/test_ray_compat.py.
    """
    with ExitStack() as stack:
        stack.enter_context(
            replaced_attribute("ray.tune.execution.class_cache", "DEFAULT_ENV_VARS", {})
        )
        stack.enter_context(
            replaced_attribute("ray.air._internal.usage", "tag_callbacks", lambda callbacks: False)
        )
        yield


@contextmanager
def treat_memory_kills_as_lost_workers() -> Iterator[None]:
    """Within the block Tune treats a worker that Ray has killed to free memory as a lost one.

    Works around: Ray raises an `OutOfMemoryError` then, which Tune does not know and which would
    end the sweep. Can go when Tune's actor manager takes it for an actor's death. Tests:
    tests/sweep/execution/test_worker_failures.py, tests/e2e/test_out_of_memory.py.
    """
    from ray.air.execution._internal.actor_manager import RayActorManager
    from ray.exceptions import OutOfMemoryError, RayActorError

    handle: Any = getattr(RayActorManager, "_actor_task_failed", None)

    def handle_as_lost(manager: Any, tracked_actor_task: Any, exception: Exception) -> None:
        """Pass the error to Tune's handler, an out-of-memory error as the death of the actor."""
        if isinstance(exception, OutOfMemoryError):
            exception = RayActorError(error_msg=str(exception))
        handle(manager, tracked_actor_task, exception)

    with _replaced_method(RayActorManager, "_actor_task_failed", handle_as_lost):
        yield


@contextmanager
def decide_recovery_by(may_continue: Callable[[Any], bool]) -> Iterator[None]:
    """Within the block `may_continue` decides whether a Tune trial gets another worker.

    Works around: Tune counts every failure of a trial, and this program only those without
    progress in between. Can go when Tune's `FailureConfig` takes a callable. Tests:
    tests/sweep/execution/test_worker_losses.py.

    Args:
        may_continue: called with the Tune trial once for each loss of its worker.
    """
    from ray.tune.experiment import Trial

    with _replaced_method(Trial, "should_recover", may_continue):
        yield


def last_trial_error(tune_trial: Any) -> Exception | str | None:
    """Return the last failure of a Tune trial: the exception, else its text, else None.

    Works around: what Tune hands out is some seconds old, and its own files are not. Tests:
    tests/e2e/test_faults.py.
    """
    with suppress(OSError, TypeError):  # there is none
        error: Exception = pickle.loads(Path(tune_trial.pickled_error_file).read_bytes())
        return error
    with suppress(OSError, TypeError):
        return Path(tune_trial.error_file).read_text().rpartition("Failure # ")[2]
    return None


def is_preempted(error: object) -> bool:
    """Return whether a worker was lost because its node was taken away in an orderly way."""
    return bool(getattr(error, "preempted", False))


def is_lost_worker(error: object) -> bool:
    """Return whether a failure is the death of a worker, and not an error of what it ran."""
    from ray.exceptions import RayActorError

    return isinstance(error, RayActorError) or is_memory_kill(error)


def is_memory_kill(error: object) -> bool:
    """Return whether Ray has killed the worker because its machine ran out of memory.

    Works around: the error that arrives is often a `RayActorError`, whose text alone tells. Tests:
    tests/sweep/execution/test_worker_failures.py.
    """
    return "OUT_OF_MEMORY" in str(error) or "low on memory" in str(error)


def is_lost_node(error: object) -> bool:
    """Return whether the worker was lost with its node; only Ray's text tells."""
    text = str(error).lower()
    return "node died" in text or "node has died" in text


@contextmanager
def replaced_attribute(module_name: str, name: str, value: Any) -> Iterator[None]:
    """Within the block the module's attribute has this value, if the module has the attribute."""
    try:
        module = import_module(module_name)
        former = getattr(module, name)
    except (ImportError, AttributeError):
        yield
        return
    setattr(module, name, value)
    try:
        yield
    finally:
        setattr(module, name, former)


@contextmanager
def _replaced_method(owner: Any, name: str, method: Callable[..., Any]) -> Iterator[None]:
    """Within the block the class has this method, if it has one of this name."""
    former = getattr(owner, name, None)
    if former is None:
        yield
        return
    setattr(owner, name, method)
    try:
        yield
    finally:
        setattr(owner, name, former)
