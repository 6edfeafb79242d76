"""The connection to Ray: this machine's own, or a cluster's."""

from __future__ import annotations

import errno
import logging
import os
import platform
import signal
import socket
import tempfile
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from sweep.errors import NotStartedError, RefusedError
from sweep.process import interrupts
from sweep.resources.capacity import Capacity
from sweep.resources.custom_modules import stage_modules
from sweep.resources.ray_start import start_here
from sweep.resources.temporary_folder import (
    announce_session,
    keep_session,
    mark_session,
    mark_sessions_of_this_process,
    ray_folder,
    remove_dead_sessions,
    remove_session,
    require_temporary_folder,
)

QUIET = {
    "RAY_AIR_NEW_OUTPUT": "0",
    "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1",
    "TUNE_PRINT_ALL_TRIAL_ERRORS": "0",
    "RAY_SCHEDULER_EVENTS": "0",
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
    "TUNE_WARN_EXCESSIVE_EXPERIMENT_CHECKPOINT_SYNC_THRESHOLD_S": "0",
    "TUNE_GLOBAL_CHECKPOINT_S": "1e9",  # the records are what a sweep goes on from
    "RAY_USAGE_STATS_ENABLED": "0",
    "TUNE_DISABLE_SIGINT_HANDLER": "1",  # ours lets trials put themselves aside first
    "RAY_DEDUP_LOGS_SKIP_REGEX": ".*",  # a lost worker is ours to tell
}

BOUNDED_LOGS = {"RAY_ROTATION_MAX_BYTES": "10000000", "RAY_ROTATION_BACKUP_COUNT": "1"}
"""What a worker prints is kept in files of this size, two for each stream: the newest of it."""

OF_A_FOLDER = (errno.ENOSPC, errno.EDQUOT, errno.EACCES, errno.EPERM, errno.EROFS)

ANSWER_S = 10.0
"""So long a cluster's head may take to accept a connection."""


def import_ray() -> None:
    """Import Ray and Tune, which takes a second or two and is quiet afterwards."""
    os.environ.update(QUIET)
    for name, value in BOUNDED_LOGS.items():
        os.environ.setdefault(name, value)
    import ray.tune  # noqa: F401

    for name in ("ray", "ray.tune", "ray.train", "ray.air"):
        logging.getLogger(name).setLevel(logging.CRITICAL)


def without_working_folder() -> Any:
    """Settings of a job whose workers import nothing from the folder of this process.

    Ray would put it before everything else, so that a `random.py` there would be Python's own.
    A worker looks for a user's modules in the grid's import paths, after everything else.
    """
    from ray.job_config import JobConfig

    class WithoutWorkingFolder(JobConfig):
        def _runtime_env_has_working_dir(self) -> bool:
            return True  # what Ray asks before it adds the folder

    return WithoutWorkingFolder()


class Cluster:
    """A connection to Ray: this machine, or the cluster at `address`.

    To a cluster go the Python files of the `own_modules`, which its nodes do not have.

    Attributes:
        is_remote: whether it is a cluster's.
        session: the folder of a Ray that was started here, in which its logs are; else None.
    """

    def __init__(
        self,
        address: str | None,
        own_modules: Sequence[Path] = (),
        say: Callable[[str], None] = lambda line: None,
    ) -> None:
        if address and address.startswith("ray://"):
            raise RefusedError(
                f"address {address}: a sweep is driven from within its cluster; "
                f"use `ray job submit` or `ray exec`, with --address auto"
            )
        import_ray()
        import ray

        quiet: dict[str, Any] = {"log_to_driver": False, "logging_level": "ERROR"}
        quiet["job_config"] = without_working_folder()
        try:
            if address:
                with tempfile.TemporaryDirectory(prefix="sweep-") as folder:
                    staged = stage_modules(own_modules, Path(folder))
                    environment = {"py_modules": staged} if staged else None
                    ray.init(address=address, runtime_env=environment, **quiet)
            else:
                remove_dead_sessions()
                announce_session()
                start_here(quiet, say)
            nodes = [node["Resources"] for node in ray.nodes() if node["Alive"]]  # type: ignore[no-untyped-call]
        except SystemExit:  # SIGTERM, for which Ray has by now a handler of its own
            interrupts.install_handlers()
            signal.raise_signal(signal.SIGTERM)
            raise
        except RefusedError:
            raise
        except Exception as error:
            ray.shutdown()
            said = " ".join(str(error).split())[:400] or repr(error)
            if address:
                here = f"Ray {ray.__version__} and Python {platform.python_version()}"
                raise RefusedError(
                    f"no Ray cluster to use at {address!r}: {said}; it has to run there with "
                    f"{here}, as here, and let in this machine's token"
                ) from None
            require_temporary_folder(address)  # which may have become full meanwhile
            if isinstance(error, OSError) and error.errno in OF_A_FOLDER:
                raise RefusedError(f"Ray does not start in {ray_folder()}: {said}") from None
            begun = [f"; its logs are in {path}/logs" for path in mark_sessions_of_this_process()]
            raise NotStartedError(
                f"Ray does not start on this machine: {said}{''.join(begun[:1])}"
            ) from None
        self.is_remote = address is not None
        self.session = None if address else _session()
        self.capacity = Capacity(nodes, _that_may_come() if address else ())

    @property
    def logs(self) -> str:
        """Where Ray's logs are: a folder of this machine, or in words where it is a cluster's."""
        return "Ray's logs on its nodes" if self.session is None else f"{self.session}/logs"

    def shut_down(self, *, keep_logs: bool = False) -> None:
        """Disconnect; a Ray that was started here ends, and its logs go unless they are kept."""
        import ray

        ray.shutdown()
        if self.session is not None and keep_logs:
            keep_session(self.session)
        elif self.session is not None:
            remove_session(self.session)


def _session() -> Path | None:
    """The folder of the session that was just started, marked as this process's."""
    with suppress(ImportError, AttributeError):  # Ray does not promise this call
        from ray._private import worker

        node: Any = worker._global_node
        session = Path(node.get_session_dir_path())
        mark_session(session)
        return session
    return None


def require_reachable(address: str | None) -> None:
    """Raise `RefusedError` if nobody listens at `host:port`: Ray itself would try for minutes."""
    host, _, port = (address or "").rpartition(":")
    if not host or not port.isdigit() or "/" in host:
        return
    try:
        socket.create_connection((host, int(port)), timeout=ANSWER_S).close()
    except (OSError, OverflowError) as error:
        why = getattr(error, "strerror", None) or str(error)
        raise RefusedError(f"no Ray cluster to use at {address!r}: {why}") from None


def _that_may_come() -> list[dict[str, float]]:
    """The resources of each node that the cluster's launcher may start; empty if it starts none."""
    nodes: list[dict[str, float]] = []
    with suppress(ImportError, AttributeError, RuntimeError):  # Ray does not promise this call
        from ray._private.state import state

        config = state.get_cluster_config()
        for group in config.node_group_configs if config else ():
            nodes += [dict(group.resources)] * max(0, group.max_count)
    return nodes
