"""The MLflow store that a sweep ships to, and the sweep's experiment in it."""

from __future__ import annotations

import logging
import os
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from sweep.grid.model import Grid
from sweep.tracking.credentials import move_password_to_environment
from sweep.tracking.moved_folder import follow
from sweep.tracking.tags import experiment_tags, outdated_tags
from sweep.tracking.view import KNOWN_TO, chart_views, means_key
from sweep.wording import count_noun

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


def silence_mlflow() -> None:
    """No line, no telemetry and no long retries from MLflow; to be called before its import."""
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "1")
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", "15")
    os.environ.setdefault("MLFLOW_LOGGING_LEVEL", "CRITICAL")
    os.environ["MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT"] = "true"
    for name in ("mlflow", "alembic", "urllib3"):
        logging.getLogger(name).setLevel(logging.CRITICAL)


def connect_store() -> MlflowClient:
    """A client of the store that MLflow's own settings name."""
    silence_mlflow()
    move_password_to_environment()
    import mlflow
    from mlflow.tracking import MlflowClient

    file = _sqlite_file(str(mlflow.get_tracking_uri()))
    if file and not file.exists():
        with suppress(OSError):  # MLflow's own way is left
            _create_whole(file)
    return MlflowClient(_without_escapes(str(mlflow.get_tracking_uri())))


def _sqlite_file(uri: str) -> Path | None:
    from sqlalchemy.engine import make_url

    path = make_url(uri).database if uri.startswith("sqlite:") else None
    return Path(path) if path and path != ":memory:" else None


def _without_escapes(uri: str) -> str:
    """Return the URI of `mlflow.db` in the working folder without percent escapes, others as given.

    MLflow writes `sqlite:////home/M%C3%BCller/mlflow.db`, and makes a folder `M%C3%BCller` too.
    """
    here = Path.cwd() / "mlflow.db"
    if "%" not in uri or _sqlite_file(uri) != here:
        return uri
    # SQLAlchemy would decode a `%` of the folder's name, and take what follows a `?` for options.
    return "sqlite:///mlflow.db" if set("%?") & set(str(here)) else f"sqlite:///{here}"


def _create_whole(file: Path) -> None:
    """Make the tables beside the file's place, and move them there in one step.

    MLflow makes them over seconds, and cannot go on with what a kill in their midst leaves.
    """
    from mlflow.tracking import MlflowClient

    with tempfile.TemporaryDirectory(prefix=".mlflow-", dir=file.parent) as folder:
        made = Path(folder) / file.name
        # Relative to the working folder, whose name may hold a `%`, which SQLAlchemy would decode.
        MlflowClient(f"sqlite:///{os.path.relpath(made)}").search_experiments(max_results=1)
        os.link(made, file)  # unless there is one by now


def get_or_create_experiment(client: MlflowClient, grid: Grid) -> str:
    """The id of the grid's experiment, made or restored if need be, and tagged."""
    name = grid.experiment
    get_or_create_experiment = client.get_experiment_by_name(name)
    if get_or_create_experiment is None:
        experiment_id = str(client.create_experiment(name, _artifact_location()))
        known: Mapping[str, str] = {}
    else:
        experiment_id, known = (
            str(get_or_create_experiment.experiment_id),
            get_or_create_experiment.tags,
        )
        if get_or_create_experiment.lifecycle_stage == "deleted":
            client.restore_experiment(experiment_id)
    tags = experiment_tags(grid)
    for key, value in {**outdated_tags(grid, known), **tags}.items():
        if known.get(key) != value:
            client.set_experiment_tag(experiment_id, key, value)
    return experiment_id


def follow_folder(client: MlflowClient, experiment_id: str) -> str | None:
    """Have the experiment's artifacts be where its store is now; a line on it if they were not."""
    database = _sqlite_file(str(client.tracking_uri))
    found = follow(database, experiment_id) if database is not None else None
    if found is None:
        return None
    again = f", {count_noun(found.num_absent, 'run')} of them anew" if found.num_absent else ""
    return f"this folder was moved: artifacts are in {found.now}{again}, no more in {found.before}"


def show_views(client: MlflowClient, experiment_id: str, grid: Grid) -> str | None:
    """Store the views of the sweep; the key of its first, or None where MLflow knows none."""
    if not _version(str(client.tracking_uri)).startswith(KNOWN_TO):
        return None
    known = client.get_experiment(experiment_id).tags
    with ignore_unsupported():
        for key, value in (view.tag for view in chart_views(grid)):
            if known.get(key) != value:
                client.set_experiment_tag(experiment_id, key, value)
        return means_key(grid.name)
    return None


@contextmanager
def ignore_unsupported() -> Iterator[None]:
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
