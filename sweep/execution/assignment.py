"""The assignment of a trial to a worker, as plain values that Tune can carry."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from sweep.grid.preset_changes import PresetChanges
from trainables.spec import TrialSpec, spec_from_dict, spec_to_dict


@dataclass(frozen=True)
class Assignment:
    """A trial for a worker to train: its spec, its storage, its device and how to train it.

    Attributes:
        import_paths: folders of this machine in which a user's own modules lie.
        folder: the driver's working folder, to which relative paths in a user's code refer.
        source: digest of the files of custom layers, models and data sets; empty where there are
            none.
        driver: token of the driver's lease, from which the worker reads its orders; empty: none.
        cell: name of the trial's cell, which the driver may stop separately.
        can_grow: whether the trial can get a larger share of the device if memory runs out.
        compilation: whether the trial's steps run compiled, or `auto`.
        cuda_graphs: whether they are replayed from a CUDA graph, where that works.
        checkpoint_every_s: seconds between checkpoints within an epoch.
        preset: what is not as in the full sweep on all of the data; None: nothing.
        log_models: whether the last checkpoint is exported to MLflow, and so must be on the disk
            before the driver is told of the outcome.
    """

    spec: TrialSpec
    sweep_uri: str
    data_root: str | None
    device: str
    num_threads: int
    import_paths: tuple[str, ...] = ()
    folder: str = ""
    source: str = ""
    retry: bool = False
    preset: PresetChanges | None = None
    driver: str = ""
    cell: str = ""
    can_grow: bool = False
    checkpoint_every_s: float = 60.0
    compilation: bool | Literal["auto"] = False
    cuda_graphs: bool = False
    log_models: bool = False

    def to_dict(self) -> dict[str, Any]:
        """Return the assignment as plain values, with the trial's id, for a Tune trial's config."""
        preset = self.preset.to_dict() if self.preset else None
        plain = {**vars(self), "spec": spec_to_dict(self.spec), "preset": preset}
        return {"trial_id": self.spec.trial_id, **plain}

    @staticmethod
    def from_dict(data: dict[str, Any]) -> Assignment:
        """Return the assignment from the plain values that `to_dict` returned."""
        plain = {key: value for key, value in data.items() if key != "trial_id"}
        preset = PresetChanges.from_dict(data["preset"]) if data["preset"] else None
        return Assignment(**{**plain, "spec": spec_from_dict(data["spec"]), "preset": preset})


def parse_assignments(config: Mapping[str, Any]) -> list[Assignment]:
    """Return the assignments that a Tune trial's config holds as JSON texts."""
    return [Assignment.from_dict(plain) for plain in json.loads(config["assignments"])]


def trial_ids(config: Mapping[str, Any]) -> list[str]:
    """Return the ids of the trials that a Tune trial trains."""
    return [str(plain["trial_id"]) for plain in json.loads(config["assignments"])]
