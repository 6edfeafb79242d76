"""Reading any MLflow tracking server or database through MLflow's own client."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

from analysis.errors import InputError
from analysis.sources.assemble import METRIC_NAMES, Bits, Found
from analysis.sources.correctness import read_bits
from analysis.sources.mlflow_runs import TRIAL_TAG, Run, found_in, no_experiment
from analysis.sources.place import CORRECT, records_here
from analysis.sources.proxy import proxy_remark
from analysis.sources.run_cache import History, recall, remember

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Experiment

PAGE = 1000
READERS = 8


def quieten() -> None:
    """Give up on a silent server within seconds, not MLflow's four minutes; before its import."""
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "1")
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", "15")
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
    os.environ.setdefault("MLFLOW_LOGGING_LEVEL", "CRITICAL")
    os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")


def read_with_client(uri: str, name: str) -> Found:
    """The trials of experiment `name` at tracking URI `uri`, curves read by a few threads.

    What was read of a finished run is kept on this machine and not asked for again.
    """
    quieten()
    from mlflow import MlflowClient
    from mlflow.exceptions import MlflowException

    try:
        client = MlflowClient(uri)
        experiment = _experiment(client, name, uri)
        runs = list(_runs(client, experiment.experiment_id))
        histories = recall(runs)
        new = [run for run in runs if run.run_id not in histories]
        with ThreadPoolExecutor(READERS) as pool:
            read = pool.map(lambda run: _history(client, run), new)
            fresh = dict(zip((run.run_id for run in new), read, strict=True))
    except MlflowException as error:
        said = f"{str(error).splitlines()[0]}{proxy_remark(uri)}{records_here(name)}"
        raise InputError(f"MLflow at {uri} cannot be read: {said}") from error
    remember(new, fresh)
    histories |= fresh
    points = [point for history in histories.values() for point in history.points]
    correct = {key: h.correct for key, h in histories.items() if h.correct is not None}
    return found_in(experiment.name, experiment.tags, runs, points, correct)


def states(uri: str, name: str) -> Iterator[str]:
    """What changes when a run of the experiment `name` does; nothing where it cannot be read.

    Every run's tags, params and newest metrics: with a digest of its record among the tags of a
    trial, they change whenever its curves do.
    """
    quieten()
    from mlflow import MlflowClient
    from mlflow.exceptions import MlflowException

    try:
        client = MlflowClient(uri)
        experiment = client.get_experiment_by_name(name)
        if experiment is not None:
            yield repr(sorted(experiment.tags.items()))
            runs = _runs(client, experiment.experiment_id)
            yield from sorted(repr(run) for run in runs)
    except MlflowException:
        return


def _experiment(client: MlflowClient, name: str, uri: str) -> Experiment:
    from mlflow.entities import ViewType

    experiment = client.get_experiment_by_name(name)
    if experiment is None or experiment.lifecycle_stage != "active":
        listed = client.search_experiments(view_type=ViewType.ACTIVE_ONLY)
        raise no_experiment(name, (found.name for found in listed), uri)
    return experiment


def _runs(client: MlflowClient, experiment_id: str) -> Iterator[Run]:
    """Every trial's run, in the order in which they began."""
    token: str | None = None
    while True:
        page = client.search_runs(
            [experiment_id],
            f"tags.`{TRIAL_TAG}` != ''",
            max_results=PAGE,
            order_by=["attributes.start_time ASC", "attributes.run_name ASC"],
            page_token=token,
        )
        for run in page:
            yield Run(
                run.info.run_id,
                run.data.tags,
                run.data.params,
                run.info.start_time,
                run.info.end_time,
                {key: value for key, value in run.data.metrics.items() if key in METRIC_NAMES},
            )
        token = page.token
        if not token:
            return


def _history(client: MlflowClient, run: Run) -> History:
    points = [
        (run.run_id, key, metric.step, metric.timestamp, metric.value)
        for key in run.latest
        for metric in client.get_metric_history(run.run_id, key)
    ]
    return History(points, _correct(client, run))


def _correct(client: MlflowClient, run: Run) -> Bits | None:
    """Which test examples the trial had right, for one that finished and kept it."""
    if run.tags.get("sweep.outcome") != "completed":
        return None
    with tempfile.TemporaryDirectory() as folder:
        try:
            return read_bits(Path(client.download_artifacts(run.run_id, CORRECT, folder)))
        except Exception:
            # Every artifact store fails in its own way; the report does without the file.
            return None
