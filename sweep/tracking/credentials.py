"""Passwords of the tracking server, kept out of the URI, which is printed and recorded."""

from __future__ import annotations

import os
import re
from urllib.parse import unquote, urlsplit, urlunsplit

URI = "MLFLOW_TRACKING_URI"
_PASSWORD = re.compile(r"(://[^/\s:@]*):[^/\s@]*@")


def move_password_to_environment() -> None:
    """Move user and password from `MLFLOW_TRACKING_URI` into MLflow's variables for them.

    The password of a PostgreSQL store goes into `PGPASSWORD`. Variables that are set keep their
    values.
    """
    parts = urlsplit(os.environ.get(URI, ""))
    if parts.password is None:
        return
    password, user, host = parts.password, parts.username or "", parts.netloc.rpartition("@")[2]
    if parts.scheme in ("http", "https"):
        os.environ.setdefault("MLFLOW_TRACKING_USERNAME", unquote(user))
        os.environ.setdefault("MLFLOW_TRACKING_PASSWORD", unquote(password))
        os.environ[URI] = urlunsplit(parts._replace(netloc=host))
    elif parts.scheme.startswith("postgresql"):
        os.environ.setdefault("PGPASSWORD", unquote(password))
        os.environ[URI] = urlunsplit(parts._replace(netloc=f"{user}@{host}"))


def hide_password(text: str) -> str:
    """Return the text with `***` in place of each password in a URI."""
    return _PASSWORD.sub(r"\1:***@", text)
