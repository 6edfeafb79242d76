"""The report onto one run of its MLflow experiment, where MLflow shows figures but no intervals."""

from __future__ import annotations

from pathlib import Path

from analysis.errors import AnalysisError
from analysis.reporting.manifest import files_in
from analysis.reporting.markdown import inert
from analysis.sources.source_location import SourceLocation

NAME = "REPORT"
KIND_TAG, KIND = "sweep.kind", "report"
NOTE_TAG = "mlflow.note.content"
MAX_NOTE = 5000


def check_place(place: SourceLocation) -> None:
    """Raise `InputError` unless `place` is an experiment in MLflow, which can hold the run."""
    if place.kind not in ("sqlite", "server"):
        raise AnalysisError(f"--to-mlflow needs an MLflow experiment, but {place.path} is none")


def log_report(place: SourceLocation, folder: Path, summary: list[str]) -> None:
    """Put the report in `folder`, and nothing else there, onto the experiment's REPORT run.

    The run is made once and found again by its tag; `summary` becomes its description. Raises
    `InputError` where MLflow cannot be written to.
    """
    check_place(place)
    from analysis.sources.mlflow_client import limit_client_retries

    limit_client_retries()
    from mlflow import MlflowClient
    from mlflow.exceptions import MlflowException

    try:
        client = MlflowClient(place.uri)
        found = client.get_experiment_by_name(place.name)
        if found is None:
            raise AnalysisError(f"no MLflow experiment {place.name!r} to put the report on")
        runs = client.search_runs(
            [found.experiment_id], f"tags.`{KIND_TAG}` = '{KIND}'", max_results=1
        )
        run = (
            runs[0]
            if runs
            else client.create_run(found.experiment_id, run_name=NAME, tags={KIND_TAG: KIND})
        )
        run_id = str(run.info.run_id)
        client.set_tag(run_id, NOTE_TAG, inert("\n\n".join(summary))[:MAX_NOTE])
        for name in files_in(folder):
            home = str(Path(name).parent)
            client.log_artifact(run_id, str(folder / name), None if home == "." else home)
        client.set_terminated(run_id)
    except MlflowException as error:
        first = str(error).splitlines()[0]
        raise AnalysisError(f"the report could not be put onto MLflow: {first}") from error
