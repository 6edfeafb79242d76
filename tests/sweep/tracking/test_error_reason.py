from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from sweep.tracking.error_reason import MAX_LENGTH, explain_error
from sweep.tracking.store import silence_mlflow

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
    silence_mlflow()
    from mlflow.tracking import MlflowClient

    with pytest.raises(Exception) as caught:  # noqa: PT011 - whichever MLflow raises
        MlflowClient(uri).search_experiments()
    assert isinstance(caught.value, Exception)
    return explain_error(caught.value)


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


@pytest.fixture
def refusing_proxy() -> Iterator[str]:
    """A proxy that knows no such server, as it says."""

    class Refusing(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.send_response(403)
            self.end_headers()
            self.wfile.write(b"<html>not from here</html>")

        def log_message(self, *_: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Refusing) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


@pytest.fixture
def no_proxies(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


@pytest.mark.usefixtures("no_proxies")
@pytest.mark.parametrize("variable", ["http_proxy", "HTTP_PROXY", "all_proxy"])
def test_a_proxy_that_nobody_serves_is_named_with_its_variable(
    variable: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(variable, "http://me:secret@127.0.0.1:9")
    said = told("http://127.0.0.1:5055", monkeypatch)
    assert said.startswith("http://127.0.0.1:5055: connection refused; ")
    assert f"{variable} sends this through the proxy http://me:***@127.0.0.1:9; " in said
    assert said.endswith("export no_proxy=127.0.0.1")


@pytest.mark.usefixtures("no_proxies")
def test_a_proxy_that_lets_nobody_through_is_named(
    refusing_proxy: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("http_proxy", refusing_proxy)
    monkeypatch.setenv("no_proxy", "example.org")
    said = told("http://127.0.0.1:5055", monkeypatch)
    assert f"http_proxy sends this through the proxy {refusing_proxy}; " in said
    assert said.endswith("export no_proxy=example.org,127.0.0.1")


@pytest.mark.usefixtures("no_proxies")
def test_a_server_that_is_exempt_from_the_proxy_is_reached_directly(
    refusing_proxy: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("http_proxy", refusing_proxy)
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    assert told(NOBODY, monkeypatch).endswith("127.0.0.1:9: connection refused")


def test_no_postgresql_there(monkeypatch: pytest.MonkeyPatch) -> None:
    psycopg2 = pytest.importorskip("psycopg2")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "postgresql://me:secret@127.0.0.1:9/mlflow")
    with pytest.raises(psycopg2.OperationalError) as caught:
        psycopg2.connect("postgresql://me:secret@127.0.0.1:9/mlflow")
    assert (
        explain_error(caught.value) == "postgresql://me:***@127.0.0.1:9/mlflow: connection refused"
    )


def test_anything_else_is_its_first_line() -> None:
    assert explain_error(ValueError("first\nsecond")) == "ValueError: first"
    assert (
        explain_error(ValueError("(consider session.no_autoflush)\nlocked")) == "ValueError: locked"
    )
    assert explain_error(ValueError("the parameter timeout is refused")).startswith(
        "ValueError: the par"
    )
    assert explain_error(ValueError()) == "ValueError: "
    assert len(explain_error(ValueError("x" * 1000))) == MAX_LENGTH
