"""The reason, on one line, for which a call of MLflow failed."""

from __future__ import annotations

import os
import re

from sweep.tracking.credentials import URI, hide_password
from sweep.tracking.proxy import explain_proxy

MAX_LENGTH = 300
CONNECTION_ERROR = re.compile(r"HTTPS?Connection(Pool)?\(|connection to server|timeout exception")
PROXY_ERROR = re.compile(r"proxy|error code (403|407|502|503|504)", re.IGNORECASE)
"""Found in errors where a proxy does not know the server, or lets no request through."""
CONNECTION_REASONS = {
    r"refused": "connection refused",
    r"timed? ?out": "timed out",
    r"name resolution|resolve|not known": "there is no host of this name",
    r"reset|aborted|disconnected": "connection broken off",
    r"no route|unreachable": "the host cannot be reached",
    r"certificate|ssl": "its certificate does not hold",
}
"""What happened to a connection, by a pattern in the errors of urllib3 and PostgreSQL's driver."""


def explain_error(error: Exception) -> str:
    """Return the reason of an error: `http://tracking:5000: connection refused`.

    An error that is not of a connection is described by its type and its first line.
    """
    message = str(error).strip().splitlines()
    # SQLAlchemy's messages begin with advice to programmers.
    lines = [line for line in message if "autoflush" not in line] or [""]
    text = hide_password(f"{type(error).__name__}: {lines[0]}")
    if CONNECTION_ERROR.search(str(error)):
        for pattern, what in CONNECTION_REASONS.items():
            if re.search(pattern, str(error), re.IGNORECASE):
                text = f"{hide_password(os.environ.get(URI, 'its server'))}: {what}"
                break
    if CONNECTION_ERROR.search(str(error)) or PROXY_ERROR.search(str(error)):
        advice = explain_proxy(os.environ.get(URI, ""))
        if advice is not None:
            return f"{_truncate(text)}; {advice}"
    return _truncate(text)


def _truncate(text: str) -> str:
    """Return the text, cut to `MAX_LENGTH` characters."""
    return text if len(text) <= MAX_LENGTH else text[: MAX_LENGTH - 3] + "..."
