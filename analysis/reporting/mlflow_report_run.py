"""Storing of the report as a run of its MLflow experiment."""

from __future__ import annotations

from pathlib import Path

from analysis.errors import AnalysisError
from analysis.reporting.manifest import list_report_files
from analysis.reporting.markdown import escape_markup
from analysis.sources.source_location import SourceLocation

RUN_NAME = "REPORT"
KIND_TAG, KIND = "sweep.kind", "report"
NOTE_TAG = "mlflow.note.content"
MAX_NOTE = 5000


def check_is_experiment(location: SourceLocation) -> None:
    """Raise `AnalysisError` unless `location` is an MLflow experiment, which can hold the run."""
    if location.kind not in ("sqlite", "server"):
        raise AnalysisError(f"--to-mlflow needs an MLflow experiment, but {location.path} is none")


def log_report_run(location: SourceLocation, folder: Path, summary: list[str]) -> None:
    """Store the report in `folder` as the run REPORT of its experiment.

    The run is created once and later found by its tag; files that are not the report's are left
    out.

    Args:
        location: the experiment.
        folder: folder of the report.
        summary: lines of the run's description.

    Raises:
        AnalysisError: MLflow cannot be written to.
    """
    check_is_experiment(location)
    from analysis.sources.mlflow_client import limit_client_retries

    limit_client_retries()
    from mlflow import MlflowClient
    from mlflow.exceptions import MlflowException

    try:
        client = MlflowClient(location.uri)
        found = client.get_experiment_by_name(location.name)
        if found is None:
            raise AnalysisError(f"no MLflow experiment {location.name!r} to put the report on")
        runs = client.search_runs(
            [found.experiment_id], f"tags.`{KIND_TAG}` = '{KIND}'", max_results=1
        )
        run = (
            runs[0]
            if runs
            else client.create_run(found.experiment_id, run_name=RUN_NAME, tags={KIND_TAG: KIND})
        )
        run_id = str(run.info.run_id)
        client.set_tag(run_id, NOTE_TAG, escape_markup("\n\n".join(summary))[:MAX_NOTE])
        for name in list_report_files(folder):
            home = str(Path(name).parent)
            client.log_artifact(run_id, str(folder / name), None if home == "." else home)
        client.set_terminated(run_id)
    except MlflowException as error:
        first = str(error).splitlines()[0]
        raise AnalysisError(f"the report could not be put onto MLflow: {first}") from error
