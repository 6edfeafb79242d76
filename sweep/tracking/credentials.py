"""Passwords of the tracking server: out of the URI, which is shown, into the environment."""

from __future__ import annotations

import os
import re
from urllib.parse import unquote, urlsplit, urlunsplit

URI = "MLFLOW_TRACKING_URI"
_PASSWORD = re.compile(r"(://[^/\s:@]*):[^/\s@]*@")


def move_password_to_environment() -> None:
    """Give MLflow the user and password of `MLFLOW_TRACKING_URI` in its variables for them.

    A PostgreSQL store's password goes to `PGPASSWORD`. Variables that are set already stay.
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
    """The text with `***` for each password in a URI."""
    return _PASSWORD.sub(r"\1:***@", text)
