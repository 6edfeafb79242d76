"""The files of a finished trial's run."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator
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
    """Writes the record, the grid, which test examples were right, and the weights if wanted."""

    def __init__(self, client: MlflowClient, grid: Grid) -> None:
        self.client, self.grid = client, grid
        self._resolved: str | None = None

    def log(self, run_id: str, record: Record, folder: TrialFolder) -> None:
        """Write the files of a trial that has its outcome."""
        if self._resolved is None:
            self._resolved = resolved(self.grid)
        self.client.log_text(run_id, record.to_json().decode(), RECORD)
        self.client.log_text(run_id, self._resolved, GRID)
        correct = folder.correct()
        if correct is not None:
            self._log_bytes(run_id, correct, CORRECT)
        if self.grid.log_models and record.outcome is Outcome.COMPLETED:
            for name, content in folder.checkpoints(up_to=len(record.epochs)):
                self._log_bytes(run_id, content, name, MODEL)
                break  # the newest, which is of the last epoch's end

    def _log_bytes(self, run_id: str, content: bytes, name: str, below: str | None = None) -> None:
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder) / name
            file.write_bytes(content)
            self.client.log_artifact(run_id, str(file), below)


def resolved(grid: Grid) -> str:
    """The grid with every default filled in, as YAML: what its trials share, and what differs.

    It grows with the levels and not with the trials, since every run has a copy.
    """
    levels: dict[str, dict[str, Any]] = {}
    for trial in grid.trials:
        for name, value in _fields(spec_to_dict(trial.spec), trial.norm):
            levels.setdefault(name, {})[json.dumps(value, default=str)] = value
    plain = {name: list(values.values()) for name, values in levels.items()}
    stated = {
        "name": grid.name,
        "experiment": grid.experiment,
        "reference": grid.reference,
        "edition": grid.edition,
        "num_trials": len(grid.trials),
        "resources": grid.resources.model_dump(),
        "differs": {name: values for name, values in plain.items() if len(values) > 1},
        "same": {name: values[0] for name, values in plain.items() if len(values) == 1},
    }
    shown = {key: value for key, value in stated.items() if value is not None}
    return yaml.safe_dump(shown, sort_keys=False, allow_unicode=True)


def _fields(spec: dict[str, Any], label: str) -> Iterator[tuple[str, Any]]:
    """A spec's fields by their dotted names, the norm in one piece."""
    yield "norm", {"label": label, **spec["norm"]}
    yield from flatten_params({key: value for key, value in spec.items() if key != "norm"})
