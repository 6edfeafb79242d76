"""Reading any MLflow tracking server or database through MLflow's own client."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from itertools import chain
from typing import TYPE_CHECKING

from analysis.errors import InputError
from analysis.sources.assemble import METRIC_NAMES, Found
from analysis.sources.mlflow_runs import TRIAL_TAG, Point, Run, found_in, no_experiment

if TYPE_CHECKING:
    from mlflow import MlflowClient

PAGE = 1000
READERS = 8


def quieten() -> None:
    """Give up on a silent server within seconds, not MLflow's four minutes; before its import."""
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "1")
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", "15")
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
    os.environ.setdefault("MLFLOW_LOGGING_LEVEL", "CRITICAL")


def read_with_client(uri: str, name: str) -> Found:
    """The trials of experiment `name` at tracking URI `uri`, curves read by a few threads."""
    quieten()
    from mlflow import MlflowClient
    from mlflow.entities import ViewType
    from mlflow.exceptions import MlflowException

    try:
        client = MlflowClient(uri)
        experiment = client.get_experiment_by_name(name)
        if experiment is None or experiment.lifecycle_stage != "active":
            listed = client.search_experiments(view_type=ViewType.ACTIVE_ONLY)
            raise no_experiment(name, (found.name for found in listed), uri)
        runs, keys = _runs(client, experiment.experiment_id)
        with ThreadPoolExecutor(READERS) as pool:
            histories = pool.map(lambda pair: _history(client, *pair), keys)
            points = list(chain.from_iterable(histories))
    except MlflowException as error:
        raise InputError(f"MLflow at {uri} cannot be read: {str(error).splitlines()[0]}") from error
    return found_in(experiment.name, experiment.tags, runs, points)


def _runs(client: MlflowClient, experiment_id: str) -> tuple[list[Run], list[tuple[str, str]]]:
    """Every trial's run, and each (run id, metric) that has a history."""
    runs: list[Run] = []
    keys: list[tuple[str, str]] = []
    token: str | None = None
    while True:
        page = client.search_runs(
            [experiment_id], f"tags.`{TRIAL_TAG}` != ''", max_results=PAGE, page_token=token
        )
        for run in page:
            runs.append(Run(run.info.run_id, run.data.tags, run.data.params))
            keys += [(run.info.run_id, key) for key in METRIC_NAMES if key in run.data.metrics]
        token = page.token
        if not token:
            return runs, keys


def _history(client: MlflowClient, run_id: str, key: str) -> list[Point]:
    return [
        (run_id, key, metric.step, metric.timestamp, metric.value)
        for metric in client.get_metric_history(run_id, key)
    ]
