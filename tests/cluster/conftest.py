"""One site for all tests of clusters: it takes minutes to set up."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator

import hosts
import postgresql_server
import pytest
from cluster_site import Site
from hosts import NETWORK, ROOT
from laptop import Laptop
from mlflow_server import mlflow_server


@pytest.fixture(scope="session")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    # The hosts share this checkout's environment, and must not set out to install it.
    stale = subprocess.run(["make", "--question", "install"], cwd=ROOT, capture_output=True)
    assert stale.returncode == 0, "the environment is not up to date: make install"
    folder = tmp_path_factory.mktemp("site")
    with hosts.hosts(folder, 3) as (there, key), postgresql_server.postgresql_server() as database:
        for host in there:  # `make install` finds the environment of this checkout
            (host.home / "norm-sweep").mkdir()
            (host.home / "norm-sweep/.venv").symlink_to(ROOT / ".venv")
        laptop = Laptop(folder / "laptop", there, key)
        (folder / "mlflow").mkdir()
        with mlflow_server(folder / "mlflow", database.uri, f"{NETWORK}.1") as tracking:
            site = Site(there, laptop, tracking, folder / "runs")
            site.up()
            yield site
