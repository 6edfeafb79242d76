from __future__ import annotations

import socket
import threading
from collections.abc import Iterator

import pytest

from sweep.tracking.reason import LONGEST, reason
from sweep.tracking.store import quieten

NOBODY = "http://somebody:secret@127.0.0.1:9"


@pytest.fixture
def hanging() -> Iterator[str]:
    """A server that accepts connections and does not answer."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield f"http://127.0.0.1:{server.getsockname()[1]}"


@pytest.fixture
def hanging_up() -> Iterator[str]:
    """A server that closes every connection at once."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            while True:
                try:
                    connection, _ = server.accept()
                except OSError:
                    return
                connection.recv(100)
                connection.close()

        threading.Thread(target=serve, daemon=True).start()
        yield f"http://127.0.0.1:{server.getsockname()[1]}"
        server.shutdown(socket.SHUT_RDWR)


def told(uri: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """What becomes of a real call to a tracking server at this address."""
    monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_TIMEOUT", "1")
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    quieten()
    from mlflow.tracking import MlflowClient

    with pytest.raises(Exception) as caught:  # noqa: PT011 - whichever MLflow raises
        MlflowClient(uri).search_experiments()
    assert isinstance(caught.value, Exception)
    return reason(caught.value)


def test_nobody_there(monkeypatch: pytest.MonkeyPatch) -> None:
    expected = "http://somebody:***@127.0.0.1:9: connection refused"
    assert told(NOBODY, monkeypatch) == expected


def test_a_name_that_is_no_hosts(monkeypatch: pytest.MonkeyPatch) -> None:
    def unknown(*_: object, **__: object) -> None:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    uri = "http://no-such-host:5000"
    assert told(uri, monkeypatch) == f"{uri}: there is no host of this name"


def test_a_server_that_does_not_answer(hanging: str, monkeypatch: pytest.MonkeyPatch) -> None:
    assert told(hanging, monkeypatch) == f"{hanging}: timed out"


def test_a_server_that_hangs_up(hanging_up: str, monkeypatch: pytest.MonkeyPatch) -> None:
    assert told(hanging_up, monkeypatch) == f"{hanging_up}: connection broken off"


def test_no_postgresql_there(monkeypatch: pytest.MonkeyPatch) -> None:
    psycopg2 = pytest.importorskip("psycopg2")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "postgresql://me:secret@127.0.0.1:9/mlflow")
    with pytest.raises(psycopg2.OperationalError) as caught:
        psycopg2.connect("postgresql://me:secret@127.0.0.1:9/mlflow")
    assert reason(caught.value) == "postgresql://me:***@127.0.0.1:9/mlflow: connection refused"


def test_anything_else_is_its_first_line() -> None:
    assert reason(ValueError("first\nsecond")) == "ValueError: first"
    assert reason(ValueError("(consider session.no_autoflush)\nlocked")) == "ValueError: locked"
    assert reason(ValueError("the parameter timeout is refused")).startswith("ValueError: the par")
    assert reason(ValueError()) == "ValueError: "
    assert len(reason(ValueError("x" * 1000))) == LONGEST
