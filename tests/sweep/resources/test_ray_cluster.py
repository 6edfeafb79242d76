from __future__ import annotations

import socket

import pytest

from sweep.errors import RefusedError
from sweep.resources.ray_cluster import require_reachable


def test_an_address_at_which_nobody_listens_is_refused_at_once() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        address = f"127.0.0.1:{server.getsockname()[1]}"
        require_reachable(address)
    with pytest.raises(RefusedError, match=f"no Ray cluster to use at '{address}': Connection"):
        require_reachable(address)
    with pytest.raises(RefusedError, match="99999"):
        require_reachable("127.0.0.1:99999")


@pytest.mark.parametrize("address", [None, "auto", "local", "http://127.0.0.1:1", "head"])
def test_what_is_no_host_and_port_is_rays_affair(address: str | None) -> None:
    require_reachable(address)
