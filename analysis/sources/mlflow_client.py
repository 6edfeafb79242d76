"""Reader of any MLflow tracking server or database, through MLflow's own client."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

from analysis.errors import AnalysisError
from analysis.sources.connection_errors import describe_server_error, format_proxy_hint
from analysis.sources.correct_examples import read_correct_examples
from analysis.sources.mlflow_runs import (
    TRIAL_TAG,
    TrialRun,
    collect_raw_results,
    make_missing_experiment_error,
)
from analysis.sources.raw_results import METRIC_NAMES, PackedBits, RawResults
from analysis.sources.run_cache import RunHistory, cache_histories, read_cached_histories
from analysis.sources.source_location import CORRECT_FILE, suggest_local_records

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Experiment

PAGE_SIZE = 1000
NUM_READER_THREADS = 8


def limit_client_retries() -> None:
    """Set MLflow to give up on a silent server within seconds; call before its first import."""
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "1")
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", "15")
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
    os.environ.setdefault("MLFLOW_LOGGING_LEVEL", "CRITICAL")
    os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")


def read_with_client(uri: str, name: str) -> RawResults:
    """Return the trials of experiment `name` at tracking URI `uri`, curves read by a few threads.

    Curves of finished runs are cached on this machine.
    """
    limit_client_retries()
    from mlflow import MlflowClient
    from mlflow.exceptions import MlflowException

    try:
        client = MlflowClient(uri)
        experiment = _find_experiment(client, name, uri)
        runs = list(_search_trial_runs(client, experiment.experiment_id))
        histories = read_cached_histories(runs)
        new = [run for run in runs if run.run_id not in histories]
        with ThreadPoolExecutor(NUM_READER_THREADS) as pool:
            read = pool.map(lambda run: _read_history(client, run), new)
            fresh = dict(zip((run.run_id for run in new), read, strict=True))
    except MlflowException as error:
        hints = f"{format_proxy_hint(uri)}{suggest_local_records(name)}"
        said = f"{describe_server_error(error)}{hints}"
        raise AnalysisError(f"MLflow at {uri} cannot be read: {said}") from error
    cache_histories(new, fresh)
    histories |= fresh
    points = [point for history in histories.values() for point in history.points]
    correct = {key: h.correct for key, h in histories.items() if h.correct is not None}
    return collect_raw_results(experiment.name, experiment.tags, runs, points, correct)


def read_run_states(uri: str, name: str) -> Iterator[str]:
    """Yield a text for the experiment and one per run, which change when the run does.

    A text has the run's tags, params and newest metrics; a trial's tags include the digest of its
    record, which changes with its curves. Nothing is yielded where MLflow cannot be read.
    """
    limit_client_retries()
    from mlflow import MlflowClient
    from mlflow.exceptions import MlflowException

    try:
        client = MlflowClient(uri)
        experiment = client.get_experiment_by_name(name)
        if experiment is not None:
            yield repr(sorted(experiment.tags.items()))
            runs = _search_trial_runs(client, experiment.experiment_id)
            yield from sorted(repr(run) for run in runs)
    except MlflowException:
        return


def _find_experiment(client: MlflowClient, name: str, uri: str) -> Experiment:
    """Return the active experiment `name`; raise `AnalysisError` where there is none."""
    from mlflow.entities import ViewType

    experiment = client.get_experiment_by_name(name)
    if experiment is None or experiment.lifecycle_stage != "active":
        listed = client.search_experiments(view_type=ViewType.ACTIVE_ONLY)
        raise make_missing_experiment_error(name, (found.name for found in listed), uri)
    return experiment


def _search_trial_runs(client: MlflowClient, experiment_id: str) -> Iterator[TrialRun]:
    """Yield the runs of trials in the order in which they began."""
    token: str | None = None
    while True:
        page = client.search_runs(
            [experiment_id],
            f"tags.`{TRIAL_TAG}` != ''",
            max_results=PAGE_SIZE,
            order_by=["attributes.start_time ASC", "attributes.run_name ASC"],
            page_token=token,
        )
        for run in page:
            yield TrialRun(
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


def _read_history(client: MlflowClient, run: TrialRun) -> RunHistory:
    """Return all points of a run's curves and its correct examples."""
    points = [
        (run.run_id, key, metric.step, metric.timestamp, metric.value)
        for key in run.latest_metrics
        for metric in client.get_metric_history(run.run_id, key)
    ]
    return RunHistory(points, _download_correct_examples(client, run))


def _download_correct_examples(client: MlflowClient, run: TrialRun) -> PackedBits | None:
    """Return which test examples a completed trial had right; None if not stored."""
    if run.tags.get("sweep.outcome") != "completed":
        return None
    with tempfile.TemporaryDirectory() as folder:
        try:
            return read_correct_examples(
                Path(client.download_artifacts(run.run_id, CORRECT_FILE, folder))
            )
        except Exception:
            # Every artifact store fails in its own way; the report does without the file.
            return None
