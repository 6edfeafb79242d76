"""What an error message says of a tracking server that cannot be reached."""

from __future__ import annotations

import os
import re
from urllib.parse import urlsplit
from urllib.request import getproxies_environment, proxy_bypass

CONNECTION_REASONS = {
    r"connection refused": "connection refused",
    r"timed? ?out": "timed out",
    r"name resolution|failed to resolve|not known": "there is no host of this name",
    r"connection reset|aborted|disconnected": "connection broken off",
    r"no route|unreachable": "the host cannot be reached",
    r"certificate|ssl": "its certificate does not hold",
}
"""The reason of a failed connection, by a pattern in the errors of urllib3."""


def describe_server_error(error: Exception) -> str:
    """Return the reason of an error of MLflow's client: its first line, or what failed to connect.

    Example:
        >>> describe_server_error(OSError("HTTPConnectionPool(host='h', port=9): Max retries ..."
        ... " Failed to establish a new connection: [Errno 111] Connection refused"))
        'connection refused'
    """
    text = str(error)
    if re.search(r"HTTPS?Connection(Pool)?\(", text):
        for pattern, reason in CONNECTION_REASONS.items():
            if re.search(pattern, text, re.IGNORECASE):
                return reason
    return (text.splitlines() or [""])[0]


def format_proxy_hint(uri: str) -> str:
    """Return a hint for an error message on the proxy used for `uri`; empty without a proxy."""
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
