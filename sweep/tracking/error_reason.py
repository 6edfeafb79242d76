"""Why MLflow could not be told, in plain words on one line."""

from __future__ import annotations

import os
import re

from sweep.tracking.credentials import URI, hide_password
from sweep.tracking.proxy import proxy_remark

MAX_LENGTH = 300
OF_A_CONNECTION = re.compile(r"HTTPS?Connection(Pool)?\(|connection to server|timeout exception")
OF_A_PROXY = re.compile(r"proxy|error code (403|407|502|503|504)", re.IGNORECASE)
"""What MLflow says where a proxy does not know the server, or lets nobody through."""
BECAME = {
    r"refused": "connection refused",
    r"timed? ?out": "timed out",
    r"name resolution|resolve|not known": "there is no host of this name",
    r"reset|aborted|disconnected": "connection broken off",
    r"no route|unreachable": "the host cannot be reached",
    r"certificate|ssl": "its certificate does not hold",
}
"""What became of a connection, by what urllib3 and PostgreSQL's driver say of it."""


def explain_error(error: Exception) -> str:
    """`http://tracking:5000: connection refused`; another error by its type and first line.

    SQLAlchemy's begins with advice to programmers.
    """
    told = str(error).strip().splitlines()
    lines = [line for line in told if "autoflush" not in line] or [""]
    text = hide_password(f"{type(error).__name__}: {lines[0]}")
    if OF_A_CONNECTION.search(str(error)):
        for pattern, what in BECAME.items():
            if re.search(pattern, str(error), re.IGNORECASE):
                text = f"{hide_password(os.environ.get(URI, 'its server'))}: {what}"
                break
    if OF_A_CONNECTION.search(str(error)) or OF_A_PROXY.search(str(error)):
        remark = proxy_remark(os.environ.get(URI, ""))
        if remark is not None:
            return f"{_short(text)}; {remark}"
    return _short(text)


def _short(text: str) -> str:
    return text if len(text) <= MAX_LENGTH else text[: MAX_LENGTH - 3] + "..."
