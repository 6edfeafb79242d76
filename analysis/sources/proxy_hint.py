"""Whether the environment sends what goes to a tracking server through a proxy."""

from __future__ import annotations

import os
from urllib.parse import urlsplit
from urllib.request import getproxies_environment, proxy_bypass


def proxy_remark(uri: str) -> str:
    """`; http_proxy sends this through a proxy …`, to follow an error; empty where none does."""
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
