"""The files that MLflow keeps with the run of a finished trial."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from sweep.grid.model import Grid
from sweep.records.flat_params import flatten_params
from sweep.records.record import CORRECT, RECORD, Record, TrialFolder
from trainables.spec import Outcome, spec_to_dict

if TYPE_CHECKING:
    from mlflow.tracking import MlflowClient

GRID = "grid.yaml"
MODEL = "model"


class Artifacts:
    """Logs artifacts to the runs of finished trials.

    The artifacts are the record, the grid, which test examples were right and, where the grid asks
    for them, the weights.
    """

    def __init__(self, client: MlflowClient, grid: Grid) -> None:
        self.client, self.grid = client, grid
        self._grid_yaml: str | None = None

    def log(self, run_id: str, record: Record, folder: TrialFolder) -> None:
        """Log the artifacts of a trial that has its outcome."""
        if self._grid_yaml is None:
            self._grid_yaml = format_resolved_grid(self.grid)
        self.client.log_text(run_id, record.to_json().decode(), RECORD)
        self.client.log_text(run_id, self._grid_yaml, GRID)
        correct = folder.load_correct()
        if correct is not None:
            self._log_bytes(run_id, correct, CORRECT)
        if self.grid.log_models and record.outcome is Outcome.COMPLETED:
            for name, content in folder.checkpoints(up_to=len(record.epochs)):
                self._log_bytes(run_id, content, name, MODEL)
                break  # the newest, which is of the last epoch's end

    def _log_bytes(self, run_id: str, content: bytes, name: str, below: str | None = None) -> None:
        """Log `content` as an artifact of the run, under this file name, in the folder `below`."""
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder) / name
            file.write_bytes(content)
            self.client.log_artifact(run_id, str(file), below)


def format_resolved_grid(grid: Grid) -> str:
    """Return the grid with all defaults filled in, as YAML.

    Fields in which trials differ are listed with their values, not by trial: every run has a copy,
    whose size must not grow with the number of trials.
    """
    levels: dict[str, dict[str, object]] = {}
    for trial in grid.trials:
        for name, value in _spec_fields(spec_to_dict(trial.spec), trial.norm):
            levels.setdefault(name, {})[json.dumps(value, default=str)] = value
    values_of = {name: list(values.values()) for name, values in levels.items()}
    described = {
        "name": grid.name,
        "experiment": grid.experiment,
        "reference": grid.reference,
        "edition": str(grid.preset) if grid.preset else None,
        "num_trials": len(grid.trials),
        "resources": grid.resources.model_dump(),
        "differs": {name: values for name, values in values_of.items() if len(values) > 1},
        "same": {name: values[0] for name, values in values_of.items() if len(values) == 1},
    }
    stated = {key: value for key, value in described.items() if value is not None}
    return yaml.safe_dump(stated, sort_keys=False, allow_unicode=True)


def _spec_fields(spec: Mapping[str, Any], label: str) -> Iterator[tuple[str, object]]:
    """Yield a spec's fields by their dotted names; the norm is one field."""
    yield "norm", {"label": label, **spec["norm"]}
    yield from flatten_params({key: value for key, value in spec.items() if key != "norm"})
