"""The MLflow store to which a sweep is exported, and the sweep's experiment in the store."""

from __future__ import annotations

import logging
import os
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from sweep.grid.model import Grid
from sweep.tracking.artifact_repair import mark_runs_without_artifacts, rewrite_artifact_paths
from sweep.tracking.credentials import move_password_to_environment
from sweep.tracking.tags import experiment_tags, outdated_tags
from sweep.tracking.view import MLFLOW_VERSIONS, chart_views, means_key
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
"""MLflow's codes for calls that a server does not know or does not allow."""

logger = logging.getLogger(__name__)


def silence_mlflow() -> None:
    """Keep MLflow from printing, from sending telemetry and from long retries.

    Called before MLflow is imported, which reads these settings.
    """
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "1")
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", "15")
    os.environ.setdefault("MLFLOW_LOGGING_LEVEL", "CRITICAL")
    os.environ["MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT"] = "true"
    for name in ("mlflow", "alembic", "urllib3"):
        logging.getLogger(name).setLevel(logging.CRITICAL)


def connect_store() -> MlflowClient:
    """Return a client of the MLflow store that MLflow's environment variables name."""
    silence_mlflow()
    move_password_to_environment()
    import mlflow
    from mlflow.tracking import MlflowClient

    file = _sqlite_file(str(mlflow.get_tracking_uri()))
    if file and not file.exists():
        with suppress(OSError):  # MLflow creates the file itself where this fails
            _create_database(file)
    return MlflowClient(_without_escapes(str(mlflow.get_tracking_uri())))


def _sqlite_file(uri: str) -> Path | None:
    """Return the database file of an SQLite store, None for any other store."""
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


def _create_database(file: Path) -> None:
    """Create an SQLite store in one step, from a temporary file in the same folder.

    MLflow creates the tables over seconds, and cannot use a file in which only some are there.
    """
    from mlflow.tracking import MlflowClient

    with tempfile.TemporaryDirectory(prefix=".mlflow-", dir=file.parent) as folder:
        temporary = Path(folder) / file.name
        # Relative to the working folder, whose name may hold a `%`, which SQLAlchemy would decode.
        MlflowClient(f"sqlite:///{os.path.relpath(temporary)}").search_experiments(max_results=1)
        os.link(temporary, file)  # fails where another process was faster


def get_or_create_experiment(client: MlflowClient, grid: Grid) -> str:
    """Return the id of the grid's experiment, created or restored if need be, and tag it."""
    experiment = client.get_experiment_by_name(grid.experiment)
    current: Mapping[str, str] = {}
    if experiment is None:
        experiment_id = str(client.create_experiment(grid.experiment, _artifact_location()))
    else:
        experiment_id, current = str(experiment.experiment_id), experiment.tags
        if experiment.lifecycle_stage == "deleted":
            logger.info("experiment %s was deleted: it is restored", grid.experiment)
            client.restore_experiment(experiment_id)
    tags = experiment_tags(grid)
    for key, value in {**outdated_tags(grid, current), **tags}.items():
        if current.get(key) != value:
            client.set_experiment_tag(experiment_id, key, value)
    return experiment_id


def repair_artifacts(client: MlflowClient, experiment_id: str) -> str | None:
    """Repair an SQLite store whose artifact folder was moved or deleted.

    Returns:
        A line that says what was repaired; None if nothing was, or for any other store.
    """
    database = _sqlite_file(str(client.tracking_uri))
    if database is None:
        return None
    moved = rewrite_artifact_paths(database, experiment_id)
    num_absent = mark_runs_without_artifacts(database, experiment_id)
    if moved is not None:
        num_absent += moved.num_absent
        again = f", {count_noun(num_absent, 'run')} of them anew" if num_absent else ""
        where = f"artifacts are in {moved.now}{again}, no more in {moved.before}"
        return f"this folder was moved: {where}"
    if num_absent:
        return f"the artifacts of {count_noun(num_absent, 'run')} were deleted: written again"
    return None


def store_views(client: MlflowClient, experiment_id: str, grid: Grid) -> str | None:
    """Store the views of the sweep as the experiment's tags.

    Returns:
        The key of the first view; None where this version of MLflow has no such views.
    """
    if not _mlflow_version(str(client.tracking_uri)).startswith(MLFLOW_VERSIONS):
        return None
    current = client.get_experiment(experiment_id).tags
    with ignore_unsupported():
        for key, value in (view.tag for view in chart_views(grid)):
            if current.get(key) != value:
                client.set_experiment_tag(experiment_id, key, value)
        return means_key(grid.name)
    return None


@contextmanager
def ignore_unsupported() -> Iterator[None]:
    """Within the block, ignore that an MLflow server refuses a call that it does not support.

    Errors of the connection, and all others, are raised.
    """
    from mlflow.exceptions import MlflowException

    try:
        yield
    except MlflowException as error:
        if error.error_code not in REFUSALS:
            raise
        logger.debug("MLflow refuses a call: %s", error)


def _mlflow_version(uri: str) -> str:
    """Return the version of MLflow whose pages show the store; empty if a server does not say."""
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
    """Return the URI of the artifact folder for a SQLite store; None for other stores.

    MLflow's default is relative to the working folder; this URI is absolute.
    """
    import mlflow

    if str(mlflow.get_tracking_uri()).startswith("sqlite:"):
        return (Path.cwd() / "mlruns").as_uri()
    return None
