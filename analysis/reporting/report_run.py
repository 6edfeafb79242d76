"""The report onto one run of its MLflow experiment, where MLflow shows figures but no intervals."""

from __future__ import annotations

from pathlib import Path

from analysis.errors import InputError
from analysis.sources.load import tracking_uri

NAME = "REPORT"
KIND_TAG, KIND = "sweep.kind", "report"
NOTE_TAG = "mlflow.note.content"
MAX_NOTE = 5000


def log_report(experiment: str, folder: Path, summary: list[str]) -> str:
    """Put the files of `folder` onto the experiment's REPORT run, and return the run's id.

    The run is made once and found again by its tag; `summary` becomes its description.
    """
    from mlflow import MlflowClient
    from mlflow.exceptions import MlflowException

    try:
        client = MlflowClient(tracking_uri())
        found = client.get_experiment_by_name(experiment)
        if found is None:
            raise InputError(f"no MLflow experiment {experiment!r} to put the report on")
        place = [found.experiment_id]
        runs = client.search_runs(place, f"tags.`{KIND_TAG}` = '{KIND}'", max_results=1)
        run = (
            runs[0]
            if runs
            else client.create_run(found.experiment_id, run_name=NAME, tags={KIND_TAG: KIND})
        )
        run_id = str(run.info.run_id)
        client.set_tag(run_id, NOTE_TAG, "\n\n".join(summary)[:MAX_NOTE])
        client.log_artifacts(run_id, str(folder))
        client.set_terminated(run_id)
    except MlflowException as error:
        first = str(error).splitlines()[0]
        raise InputError(f"the report could not be put onto MLflow: {first}") from error
    return run_id
