"""Whether the environment sends what goes to the tracking server through a proxy."""

from __future__ import annotations

import os
from urllib.parse import urlsplit
from urllib.request import getproxies_environment, proxy_bypass

from sweep.tracking.credentials import hide_password


def proxy_remark(uri: str) -> str | None:
    """Which variable sends requests to this server to a proxy, and what to type; None if none does.

    A server on this machine or in the same network answers to no proxy that is elsewhere: what
    comes back, "connection refused" for one, is the proxy's answer and not the server's.
    """
    parts = urlsplit(uri)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        return None
    proxies = getproxies_environment()
    scheme = parts.scheme if parts.scheme in proxies else "all"
    if scheme not in proxies or proxy_bypass(parts.netloc.rpartition("@")[2]):
        return None
    name = next((n for n in os.environ if n.lower() == f"{scheme}_proxy"), f"{scheme}_proxy")
    here = os.environ.get("no_proxy") or os.environ.get("NO_PROXY")
    exempt = ",".join([*([here] if here else []), parts.hostname])
    return (
        f"{name} sends this through the proxy {hide_password(proxies[scheme])}; if the server is "
        f"to be reached directly: export no_proxy={exempt}"
    )
