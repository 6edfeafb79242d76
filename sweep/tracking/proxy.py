"""Whether environment variables send requests to the tracking server through a proxy."""

from __future__ import annotations

import os
from urllib.parse import urlsplit
from urllib.request import getproxies_environment, proxy_bypass

from sweep.tracking.credentials import hide_password


def explain_proxy(uri: str) -> str | None:
    """Return which variable sends requests to a proxy, and what to type to reach the server.

    A server on this machine or in the same network cannot be reached by a proxy that is elsewhere:
    an answer such as "connection refused" is then the proxy's and not the server's.

    Args:
        uri: URI of the tracking server.

    Returns:
        A line for the user; None if no variable applies to the server.
    """
    parts = urlsplit(uri)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        return None
    proxies = getproxies_environment()
    scheme = parts.scheme if parts.scheme in proxies else "all"
    if scheme not in proxies or proxy_bypass(parts.netloc.rpartition("@")[2]):
        return None
    name = next((n for n in os.environ if n.lower() == f"{scheme}_proxy"), f"{scheme}_proxy")
    no_proxy = os.environ.get("no_proxy") or os.environ.get("NO_PROXY")
    exempt = ",".join([*([no_proxy] if no_proxy else []), parts.hostname])
    return (
        f"{name} sends this through the proxy {hide_password(proxies[scheme])}; if the server is "
        f"to be reached directly: export no_proxy={exempt}"
    )
