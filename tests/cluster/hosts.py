"""Hosts on this machine: each with a network address, processes, a home and an sshd of its own.

Linux namespaces make them, so root is needed, and Debian's openssh-server, iproute2 and rsync. They
see this machine's other files, as hosts see a file system that they share.
"""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

ROOT = Path(__file__).parents[2]
PROGRAMS = ("ip", "unshare", "rsync", "ssh", "ssh-keygen", "sshd", "make")
NETWORK = "10.201.77"
BRIDGE = "sweepbr"
LONGEST_START_S = 30

# First process of a host: hide this machine's home, Ray's files and shared memory behind its own.
BOOT = """
hostname {name}
{keep}
mount --rbind {home} /root
mkdir -p /tmp/ray && mount --bind {ray} /tmp/ray
mount -t tmpfs tmpfs /dev/shm
exec $(command -v sshd) -D -e -h {key} -o ListenAddress={address} -o PermitRootLogin=yes \
  -o StrictModes=no -o UsePAM=no -o PidFile=none
"""


def why_not() -> str | None:
    """Why there can be no hosts here, or None if there can."""
    if sys.platform != "linux" or os.geteuid() != 0:
        return "hosts on one machine need Linux and root"
    absent = [name for name in PROGRAMS if _which(name) is None]
    if absent:
        return f"{', '.join(absent)} missing (Debian: openssh-server iproute2 rsync make)"
    tried = subprocess.run(["unshare", "--net", "--mount", "true"], capture_output=True)
    return "this root may not make namespaces" if tried.returncode else None


def _which(name: str) -> str | None:
    return shutil.which(name, path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin")


class Host:
    """One of them; `start` after `kill` is the same machine after a reboot."""

    def __init__(self, folder: Path, number: int, key: Path) -> None:
        self.name = f"host{number}"
        self.address = f"{NETWORK}.{number + 1}"
        self.folder = folder / self.name
        self.home = self.folder / "home"
        self.space = f"sweep-{self.name}"
        self.process: subprocess.Popen[bytes] | None = None
        for place in (self.home / ".ssh", self.folder / "ray"):
            place.mkdir(parents=True)
        (self.home / ".bashrc").touch()
        shutil.copy(key.with_suffix(".pub"), self.home / ".ssh/authorized_keys")
        _run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(self.folder / "hostkey"))
        self._connect(number)

    def _connect(self, number: int) -> None:
        outside, inside = f"sweep{number}", "eth0"
        _ip("netns", "add", self.space)
        _ip("link", "add", outside, "type", "veth", "peer", "name", inside, "netns", self.space)
        _ip("link", "set", outside, "master", BRIDGE, "up")
        _ip("-n", self.space, "address", "add", f"{self.address}/24", "dev", inside)
        _ip("-n", self.space, "link", "set", inside, "up")
        _ip("-n", self.space, "link", "set", "lo", "up")
        _ip("-n", self.space, "route", "add", "default", "via", f"{NETWORK}.1")

    def start(self) -> None:
        """Boot, and wait until ssh answers."""
        boot = BOOT.format(
            name=self.name,
            address=self.address,
            keep="\n".join(self._kept()),
            home=self.home,
            ray=self.folder / "ray",
            key=self.folder / "hostkey",
        )
        apart = [
            "unshare",
            "--pid",
            "--fork",
            "--kill-child",
            "--mount",
            "--mount-proc",
            "--ipc",
            "--uts",
        ]
        with open(self.folder / "sshd.log", "ab") as log:
            self.process = subprocess.Popen(
                [
                    "ip",
                    "netns",
                    "exec",
                    self.space,
                    *apart,
                    "--ipc",
                    "--uts",
                    "sh",
                    "-e",
                    "-c",
                    boot,
                ],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        deadline = time.monotonic() + LONGEST_START_S
        while True:
            with suppress(OSError), socket.create_connection((self.address, 22), timeout=1):
                return
            log_text = (self.folder / "sshd.log").read_text()
            assert time.monotonic() < deadline, f"no sshd on {self.name}: {log_text}"
            time.sleep(0.1)

    def _kept(self) -> Iterator[str]:
        """Python and the project stay where they are, should they lie in the hidden home."""
        for kept in (Path(sys.base_prefix), ROOT):
            if kept.is_relative_to("/root"):
                there = self.home / kept.relative_to("/root")
                there.mkdir(parents=True, exist_ok=True)
                yield f"mount --bind {kept} {there}"

    def kill(self) -> None:
        """Pull the plug: every process of the host is gone at once."""
        if self.process:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()
            self.process = None
            time.sleep(0.5)  # the namespace's last processes

    def remove(self) -> None:
        """Kill it and take its network away."""
        self.kill()
        subprocess.run(["ip", "netns", "delete", self.space], capture_output=True)


@contextmanager
def hosts(folder: Path, number: int) -> Iterator[tuple[list[Host], Path]]:
    """So many running hosts, and the ssh key that opens them; gone at the end."""
    key = folder / "key"
    _run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(key))
    Path("/run/sshd").mkdir(exist_ok=True)
    there: list[Host] = []
    try:
        _ip("link", "add", BRIDGE, "type", "bridge")
        _ip("address", "add", f"{NETWORK}.1/24", "dev", BRIDGE)
        _ip("link", "set", BRIDGE, "up")
        for i in range(1, number + 1):
            there.append(Host(folder, i, key))
            there[-1].start()
        yield there, key
    finally:
        for host in there:
            host.remove()
        subprocess.run(["ip", "link", "delete", BRIDGE], capture_output=True)


def _ip(*arguments: str) -> None:
    _run("ip", *arguments)


def _run(*command: str) -> None:
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, f"{' '.join(command)}: {done.stderr}"
