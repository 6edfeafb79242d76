"""The MLflow store that a sweep ships to, and the sweep's experiment in it."""

from __future__ import annotations

import logging
import os
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from sweep.grid.layout import Grid
from sweep.tracking.credentials import take_out_of_uri
from sweep.tracking.names import LEFT_OUT, experiment_tags
from sweep.tracking.view import KNOWN_TO, means_key, views

if TYPE_CHECKING:
    from mlflow.tracking import MlflowClient

REFUSALS = {
    "BAD_REQUEST",
    "ENDPOINT_NOT_FOUND",
    "FEATURE_DISABLED",
    "INVALID_PARAMETER_VALUE",
    "NOT_IMPLEMENTED",
    "PERMISSION_DENIED",
}


def quieten() -> None:
    """No line, no telemetry and no long retries from MLflow; to be called before its import."""
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "1")
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", "15")
    os.environ.setdefault("MLFLOW_LOGGING_LEVEL", "CRITICAL")
    os.environ["MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT"] = "true"
    for name in ("mlflow", "alembic", "urllib3"):
        logging.getLogger(name).setLevel(logging.CRITICAL)


def connect() -> MlflowClient:
    """A client of the store that MLflow's own settings name."""
    quieten()
    take_out_of_uri()
    import mlflow
    from mlflow.tracking import MlflowClient

    file = _sqlite_file(str(mlflow.get_tracking_uri()))
    if file and not file.exists():
        with suppress(OSError):  # MLflow's own way is left
            _create_whole(file)
    return MlflowClient()


def _sqlite_file(uri: str) -> Path | None:
    from sqlalchemy.engine import make_url

    path = make_url(uri).database if uri.startswith("sqlite:") else None
    return Path(path) if path and path != ":memory:" else None


def _create_whole(file: Path) -> None:
    """Make the tables beside the file's place, and move them there in one step.

    MLflow makes them over seconds, and cannot go on with what a kill in their midst leaves.
    """
    from mlflow.tracking import MlflowClient

    with tempfile.TemporaryDirectory(prefix=".mlflow-", dir=file.parent) as folder:
        made = Path(folder) / file.name
        MlflowClient(f"sqlite:///{made}").search_experiments(max_results=1)
        os.link(made, file)  # unless there is one by now


def experiment(client: MlflowClient, grid: Grid) -> str:
    """The id of the grid's experiment, made or restored if need be, and tagged."""
    name = grid.experiment
    experiment = client.get_experiment_by_name(name)
    if experiment is None:
        experiment_id = str(client.create_experiment(name, _artifact_location()))
        known: Mapping[str, str] = {}
    else:
        experiment_id, known = str(experiment.experiment_id), experiment.tags
        if experiment.lifecycle_stage == "deleted":
            client.restore_experiment(experiment_id)
    tags = experiment_tags(grid)
    further_parts = f"sweep.expected.{grid.name}#"
    left_out = f"{LEFT_OUT}{grid.name}"
    outdated = {
        key: "[]"
        for key in known
        if key.startswith(further_parts) or key.partition(":")[0] == left_out
    }
    for key, value in {**outdated, **tags}.items():
        if known.get(key) != value:
            client.set_experiment_tag(experiment_id, key, value)
    return experiment_id


def show_views(client: MlflowClient, experiment_id: str, grid: Grid) -> str | None:
    """Store the views of the sweep; the key of its first, or None where MLflow knows none."""
    if not _version(str(client.tracking_uri)).startswith(KNOWN_TO):
        return None
    known = client.get_experiment(experiment_id).tags
    with at_its_pleasure():
        for key, value in (view.tag for view in views(grid)):
            if known.get(key) != value:
                client.set_experiment_tag(experiment_id, key, value)
        return means_key(grid.name)
    return None


@contextmanager
def at_its_pleasure() -> Iterator[None]:
    """Do without what MLflow, which was reached, refuses to be told; other errors are raised."""
    from mlflow.exceptions import MlflowException

    try:
        yield
    except MlflowException as error:
        if error.error_code not in REFUSALS:
            raise


def _version(uri: str) -> str:
    """The version of MLflow whose pages show the store; empty if it does not say."""
    import mlflow
    from mlflow.utils.credentials import get_default_host_creds
    from mlflow.utils.rest_utils import http_request

    if not uri.startswith("http"):
        return str(mlflow.__version__)
    try:
        credentials = get_default_host_creds(uri)  # type: ignore[no-untyped-call]
        answer = http_request(credentials, "/version", "GET")  # type: ignore[no-untyped-call]
    except Exception:
        return ""
    return str(answer.text).strip() if answer.ok else ""


def _artifact_location() -> str | None:
    """An absolute folder for a local store, whose own default is relative; None for a server."""
    import mlflow

    if str(mlflow.get_tracking_uri()).startswith("sqlite:"):
        return (Path.cwd() / "mlruns").as_uri()
    return None
