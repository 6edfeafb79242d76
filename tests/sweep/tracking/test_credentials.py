from __future__ import annotations

import os

import pytest

from sweep.tracking.credentials import hide_password, move_password_to_environment

VARIABLES = ("MLFLOW_TRACKING_USERNAME", "MLFLOW_TRACKING_PASSWORD", "PGPASSWORD")


@pytest.mark.parametrize(
    ("uri", "left", "moved"),
    [
        ("http://ann:s%40fe@host:5000/a", "http://host:5000/a", ("ann", "s@fe", None)),
        ("https://:safe@host", "https://host", ("", "safe", None)),
        ("postgresql+psycopg2://ann:safe@host/db", "postgresql+psycopg2://ann@host/db",
         (None, None, "safe")),
        ("http://host:5000", "http://host:5000", (None, None, None)),
        ("sqlite:///mlflow.db", "sqlite:///mlflow.db", (None, None, None)),
        ("", "", (None, None, None)),
    ],
)  # fmt: skip
def test_a_password_moves_from_the_uri_to_where_its_reader_looks(
    uri: str, left: str, moved: tuple[str | None, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in VARIABLES:
        monkeypatch.setenv(name, "")
        monkeypatch.delenv(name)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
    move_password_to_environment()
    assert os.environ["MLFLOW_TRACKING_URI"] == left
    assert tuple(os.environ.get(name) for name in VARIABLES) == moved


def test_a_password_given_in_its_own_variable_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://ann:old@host")
    monkeypatch.setenv("MLFLOW_TRACKING_USERNAME", "ann")
    monkeypatch.setenv("MLFLOW_TRACKING_PASSWORD", "new")
    move_password_to_environment()
    assert os.environ["MLFLOW_TRACKING_PASSWORD"] == "new"


def test_texts_of_others_lose_the_password_alone() -> None:
    text = "request to http://ann:safe@host:5000/x and mysql://u:pw@h/db failed: a:b@c"
    assert (
        hide_password(text)
        == "request to http://ann:***@host:5000/x and mysql://u:***@h/db failed: a:b@c"
    )
