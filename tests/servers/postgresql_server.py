"""A real PostgreSQL on loopback with a data directory of its own, from the machine's binaries.

Debian: `apt-get install postgresql`. PostgreSQL refuses to run as root, so root runs it as the
package's user `postgres`.
"""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from mlflow_server import free_port

USER = "postgres"


def why_not() -> str | None:
    """Why there can be no PostgreSQL here, or None if there can."""
    if _binary("initdb") is None:
        return "PostgreSQL is not installed (Debian: apt-get install postgresql)"
    if os.geteuid() == 0 and USER not in {entry.pw_name for entry in pwd.getpwall()}:
        return f"root cannot run PostgreSQL, and there is no user {USER}"
    return None


def _binary(name: str) -> str | None:
    """The newest one of Debian's, which are not on the path, or else the path's."""
    debian = sorted(Path("/usr/lib/postgresql").glob(f"*/bin/{name}"))
    return str(debian[-1]) if debian else shutil.which(name)


class PostgresqlServer:
    """A database cluster in a temporary folder, reached at `uri` without a password."""

    def __init__(self) -> None:
        self.user = USER if os.geteuid() == 0 else None
        self.folder = Path(tempfile.mkdtemp(prefix="postgresql-"))
        if self.user:
            shutil.chown(self.folder, self.user)
        self.port = free_port()
        self.uri = f"postgresql+psycopg2://{USER}@127.0.0.1:{self.port}/postgres"
        self._run("initdb", "--username", USER, "--auth=trust", "--no-sync")

    def start(self) -> None:
        """Start it and wait until it answers."""
        options = f"-h 127.0.0.1 -p {self.port} -k {self.folder} -F"
        self._run("pg_ctl", "start", "--wait", "--options", options)

    def kill(self) -> None:
        """End it at once, as a crash would."""
        self._run("pg_ctl", "stop", "--mode", "immediate")

    def _run(self, name: str, *arguments: str) -> None:
        binary = _binary(name)
        assert binary is not None
        command = [binary, *arguments, "-D", str(self.folder / "data")]
        log = self.folder / "log"
        with open(log, "ab") as file:
            done = subprocess.run(
                command, user=self.user, cwd=self.folder, stdout=file, stderr=file, check=False
            )
        if done.returncode:
            raise RuntimeError(f"{name} failed:\n{log.read_text()[-2000:]}")


@contextmanager
def postgresql_server() -> Iterator[PostgresqlServer]:
    """A running server, ended and removed with the block."""
    server = PostgresqlServer()
    try:
        server.start()
        yield server
        server.kill()
    finally:
        shutil.rmtree(server.folder, ignore_errors=True)
