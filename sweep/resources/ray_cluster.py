"""The connection to Ray: this machine's own, or a cluster's."""

from __future__ import annotations

import errno
import platform
import signal
import socket
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from sweep.errors import NotStartedError, RefusedError
from sweep.process import interrupts
from sweep.resources.capacity import Capacity
from sweep.resources.custom_modules import stage_modules
from sweep.resources.ray_compat import (
    autoscaled_nodes,
    import_ray,
    job_config_without_working_folder,
    started_session_folder,
)
from sweep.resources.ray_start import start_local_ray
from sweep.resources.temporary_folder import (
    keep_session,
    mark_session,
    mark_sessions_of_this_process,
    ray_folder,
    remove_dead_sessions,
    remove_session,
    require_temporary_folder,
    write_ray_start_file,
)

FOLDER_ERRORS = (errno.ENOSPC, errno.EDQUOT, errno.EACCES, errno.EPERM, errno.EROFS)

ANSWER_S = 10.0
"""So long a cluster's head may take to accept a connection."""


class Cluster:
    """A connection to a Ray that is started on this machine, or to a cluster.

    Args:
        address: address of the cluster; None: start Ray on this machine.
        custom_modules: files and package folders whose Python files are copied to a cluster.
        on_line: called with a line that a person should read.

    Attributes:
        is_remote: whether this is a cluster.
        session: folder of a Ray that was started here, with its logs; None for a cluster.
        capacity: the CPUs and GPUs of the nodes.

    Raises:
        RefusedError: there is no usable cluster at the address, or no usable temporary folder.
        NotStartedError: Ray does not start on this machine.
    """

    def __init__(
        self,
        address: str | None,
        custom_modules: Sequence[Path] = (),
        on_line: Callable[[str], None] = lambda line: None,
    ) -> None:
        if address and address.startswith("ray://"):
            raise RefusedError(
                f"address {address}: a sweep is driven from within its cluster; "
                f"use `ray job submit` or `ray exec`, with --address auto"
            )
        import_ray()
        import ray

        init_options: dict[str, Any] = {"log_to_driver": False, "logging_level": "ERROR"}
        init_options["job_config"] = job_config_without_working_folder()
        try:
            if address:
                with tempfile.TemporaryDirectory(prefix="sweep-") as folder:
                    staged = stage_modules(custom_modules, Path(folder))
                    environment = {"py_modules": staged} if staged else None
                    ray.init(address=address, runtime_env=environment, **init_options)
            else:
                remove_dead_sessions()
                write_ray_start_file()
                start_local_ray(init_options, on_line)
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
            if isinstance(error, OSError) and error.errno in FOLDER_ERRORS:
                raise RefusedError(f"Ray does not start in {ray_folder()}: {said}") from None
            begun = [f"; its logs are in {path}/logs" for path in mark_sessions_of_this_process()]
            raise NotStartedError(
                f"Ray does not start on this machine: {said}{''.join(begun[:1])}"
            ) from None
        self.is_remote = address is not None
        self.session = None if address else _mark_started_session()
        self.capacity = Capacity(nodes, autoscaled_nodes() if address else ())

    @property
    def logs(self) -> str:
        """The folder of Ray's logs; for a cluster, words that say where they are."""
        return "Ray's logs on its nodes" if self.session is None else f"{self.session}/logs"

    def shut_down(self, *, keep_logs: bool = False) -> None:
        """Disconnect; a Ray that was started here ends, and its logs are deleted unless kept."""
        import ray

        ray.shutdown()
        if self.session is not None and keep_logs:
            keep_session(self.session)
        elif self.session is not None:
            remove_session(self.session)


def _mark_started_session() -> Path | None:
    """Mark the folder of the Ray session that was just started as this process's, and return it."""
    session = started_session_folder()
    if session is not None:
        mark_session(session)
    return session


def require_no_connection() -> None:
    """Raise `RefusedError` if this process is connected to Ray already, as a notebook may be."""
    ray = sys.modules.get("ray")
    if ray is not None and ray.is_initialized():
        raise RefusedError(
            "this process is connected to Ray already: call `ray.shutdown()` first, since a sweep "
            "starts a Ray of its own, or connects to the one at `address`"
        )


def require_reachable(address: str | None) -> None:
    """Raise `RefusedError` if no server listens at `host:port`; Ray would try for minutes."""
    host, _, port = (address or "").rpartition(":")
    if not host or not port.isdigit() or "/" in host:
        return
    try:
        socket.create_connection((host, int(port)), timeout=ANSWER_S).close()
    except (OSError, OverflowError) as error:
        why = getattr(error, "strerror", None) or str(error)
        raise RefusedError(f"no Ray cluster to use at {address!r}: {why}") from None
