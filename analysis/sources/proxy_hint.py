"""A hint on proxies for errors of a tracking server."""

from __future__ import annotations

import os
from urllib.parse import urlsplit
from urllib.request import getproxies_environment, proxy_bypass


def format_proxy_hint(uri: str) -> str:
    """Return a hint for an error message that the environment's proxy serves `uri`; empty if none."""
    parts = urlsplit(uri)
    proxies = getproxies_environment()
    scheme = parts.scheme if parts.scheme in proxies else "all"
    if parts.hostname is None or scheme not in proxies or proxy_bypass(parts.netloc):
        return ""
    name = next((n for n in os.environ if n.lower() == f"{scheme}_proxy"), f"{scheme}_proxy")
    here = os.environ.get("no_proxy") or os.environ.get("NO_PROXY")
    exempt = ",".join([*([here] if here else []), parts.hostname])
    return (
        f"; {name} sends this through a proxy: if the server is to be reached directly, "
        f"export no_proxy={exempt}"
    )
