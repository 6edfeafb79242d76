"""A grid: what a user writes in YAML, checked whole, and the trials that it stands for.

Reading a grid imports no torch: an error in it is answered at once.
"""

from __future__ import annotations

import math
import os
import re
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from sweep.errors import GridError
from sweep.grid import yaml_source
from sweep.grid.expand import GridTrial, expand
from sweep.grid.factors import PLACES, read_factors
from sweep.grid.field_changes import apply_changes
from sweep.grid.left_out import LeftOut, excluded
from sweep.grid.mapping_source import MAPPING_PATH, read_mapping
from sweep.grid.norm_levels import describe_impossible_label
from sweep.grid.taken_names import complain_of_taken_names
from sweep.grid.validation_messages import dotted_keys, format_value, validation_problems
from sweep.grid.yaml_source import Source
from sweep.process.import_order import put_custom_modules_last
from trainables.data.custom import Known, known_facts, learn_facts, takes_root, use_root
from trainables.spec import is_custom

LONGEST_NAME, LONGEST_PATH = 255, 1024
"""Bytes that a file's name, and a path, may have on any file system or object store."""

MOST_OF_CHANGES = 1500
"""Characters of the options `--set` that are kept: they must fit into a tag of MLflow."""

NAME = r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}"


class Section(BaseModel):
    """A part of a grid: no unknown keys, no silent conversion of types."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, allow_inf_nan=False)


class Override(Section):
    """Set fields (`train.schedule.milestones`) in the trials whose levels match `when`."""

    when: dict[str, Any]
    set: dict[str, Any]


class Resources(Section):
    """What one trainable occupies, and how many seeds of a cell it trains.

    `gpu: auto` shares a GPU, where the cluster has any, between as many trials as train fastest on
    it. `seeds_per_trainable: auto` trains as many seeds side by side, as one network, as turns out
    to be fastest. `compile: auto` has a trial's steps compiled where those that are left repay it.
    `cuda_graphs: auto` replays steps that are not compiled from a CUDA graph, where that works.
    """

    cpu: Annotated[float, Field(gt=0)] = 1
    gpu: Annotated[float, Field(ge=0)] | Literal["auto"] = "auto"
    seeds_per_trainable: Annotated[int, Field(ge=1)] | Literal["auto"] = 1
    compile: bool | Literal["auto"] = False
    cuda_graphs: Literal["auto", False] = False

    @field_validator("gpu", mode="before")
    @classmethod
    def _is_a_share_or_auto(cls, gpu: Any) -> Any:
        is_number = isinstance(gpu, int | float) and not isinstance(gpu, bool)
        if gpu != "auto" and not (is_number and 0 <= gpu < math.inf):
            raise ValueError("expected a number >= 0 or 'auto'")
        return gpu

    @field_validator("compile", mode="before")
    @classmethod
    def _is_a_switch_or_auto(cls, wanted: Any) -> Any:
        if wanted != "auto" and not isinstance(wanted, bool):
            raise ValueError("expected true, false or 'auto'")
        return wanted


class Tracking(Section):
    """The MLflow experiment; its server is MLflow's own setting (MLFLOW_TRACKING_URI).

    With `log_models` a completed trial's last checkpoint, its weights among it, is an artifact.
    """

    experiment: Annotated[str, Field(min_length=1, max_length=250)] | None = None
    log_models: bool = False


class Layout(Section):
    """The grid's file as it stands, before its factors are crossed."""

    name: Annotated[str, Field(json_schema_extra={"pattern": f"^{NAME}$"})]
    factors: dict[str, Any]
    data: dict[str, Any]
    model: dict[str, Any]
    train: dict[str, Any]
    overrides: list[Override] = []
    exclude: list[dict[str, Any]] = []
    resources: Resources = Resources()
    tracking: Tracking = Tracking()
    storage: Annotated[str, Field(min_length=1)] = "runs"
    checkpoint_every_s: Annotated[float, Field(gt=0)] = 60
    reference: str | None = None
    infeasible: Literal["refuse", "skip"] = "refuse"

    @field_validator("name")
    @classmethod
    def _is_a_folder_name(cls, name: str) -> str:
        if not re.fullmatch(NAME, name):
            what = "expected letters, digits, '.', '_' and '-' (it names a folder)"
            raise ValueError(f"{what}, at most 100, starting with a letter or digit")
        return name

    @field_validator("storage")
    @classmethod
    def _is_a_place(cls, storage: str) -> str:
        if problem := _too_long(storage):
            raise ValueError(problem)
        return storage


@dataclass(frozen=True)
class Grid:
    """A checked grid. `trials` come one seed after the other, in the order of the file.

    `further` names the factors beside norm, batch size and seed. `edition` says what was replaced
    where the trials are smaller than the file's (see `sweep.grid.presets`).
    `left_out` names the cells that are crossed and not trained, and why not.
    `warnings` and `notes` say what its rules do that its author may not have meant. `folder` is
    the working folder of the command that read it, and `own_data` what is known of the user's own
    data sets. `digest` is that of the file's content (see `sweep.grid.digest`), without `changes`.
    """

    path: Path
    name: str
    trials: tuple[GridTrial, ...]
    resources: Resources
    experiment: str
    storage: str
    data_root: str | None
    reference: str | None
    skip_infeasible: bool
    import_paths: tuple[str, ...]
    further: tuple[str, ...]
    edition: str | None = None
    checkpoint_every_s: float = 60
    changes: tuple[str, ...] = ()
    log_models: bool = False
    left_out: tuple[LeftOut, ...] = ()
    warnings: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    folder: str = ""
    digest: str = ""
    own_data: Known = field(default_factory=dict, compare=False)

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Have a process that is sent the grid know of its data sets what has been read."""
        vars(self).update(state)
        learn_facts(self.own_data)
        is_stated = any(trial.spec.data.digest for trial in self.trials)
        use_root(self.data_root if is_stated else None)

    @property
    def as_file(self) -> dict[str, str]:
        """What the analysis compares a grid's file with: its digest and the options `--set`."""
        words = [word for change in self.changes for word in ("--set", change)]
        return {"digest": self.digest, "changes": shlex.join(words)[:MOST_OF_CHANGES]}

    @property
    def arguments(self) -> str:
        """What to type after a command to mean this grid."""
        words = [str(self.path), *(["--scale", "small"] if self.edition else [])]
        words += [word for change in self.changes for word in ("--set", change)]
        return shlex.join(words)


def load_grid(
    grid: str | os.PathLike[str] | Mapping[str, Any], changes: Sequence[str] = ()
) -> Grid:
    """Read and check a grid, as if its file said what `changes` (`train.epochs=2`) say.

    The grid is a file's path, or the file's content as a mapping.

    Raises `GridError` with every problem of the grid, each with its line, and `RefusedError`
    if the file cannot be read. A user's own layer, model or data set is imported from the current
    folder or from the grid's, and the data set called for its dimensions; nothing else is
    executed.
    """
    if isinstance(grid, Mapping):
        file, source, named = MAPPING_PATH, read_mapping(grid), ""
    else:
        file, source, named = Path(grid), yaml_source.read_yaml(Path(grid)), str(Path(grid))
    if not isinstance(source.data, dict):
        problem = source.problem((), f"expected a mapping, found {format_value(source.data)}")
        raise GridError(named, [problem])
    apply_changes(source, changes)
    import_paths = tuple(dict.fromkeys([os.getcwd(), str(file.resolve().parent)]))
    put_custom_modules_last(import_paths)
    complain_of_taken_names(source, import_paths)
    data_root = _take_root(source)
    layout = _read_layout(source)
    factors = read_factors(source, _mapping(source.data.get("factors")))
    expansion = expand(source, factors)
    if layout:
        _check_reference(source, layout.reference, [norm.label for norm in factors.norms])
    if source.problems or layout is None:
        raise GridError(named, source.problems)
    return Grid(
        path=file,
        name=layout.name,
        trials=expansion.trials,
        resources=layout.resources,
        experiment=layout.tracking.experiment or layout.name,
        storage=layout.storage,
        data_root=data_root,
        reference=layout.reference,
        skip_infeasible=layout.infeasible == "skip",
        import_paths=import_paths,
        further=tuple(name for name, _ in factors.further),
        checkpoint_every_s=layout.checkpoint_every_s,
        changes=tuple(changes),
        log_models=layout.tracking.log_models,
        left_out=excluded(factors, expansion.trials),
        warnings=expansion.warnings,
        notes=expansion.notes,
        folder=os.getcwd(),
        digest=source.digest,
        own_data=known_facts(),
    )


def _read_layout(source: Source) -> Layout | None:
    try:
        return Layout.model_validate(source.data)
    except ValidationError as error:
        places = [*PLACES, *dotted_keys(Layout)]
        source.problems.extend(validation_problems(error, source, Layout, (), places))
        return None


def _check_reference(source: Source, reference: str | None, labels: list[str]) -> None:
    if reference is None or reference in labels:
        return
    if any(p.where.startswith("factors.norm") for p in source.problems):
        listed = _mapping(source.data.get("factors")).get("norm")
        what = describe_impossible_label(reference, listed, labels)
        if what is None:
            return
    else:
        what = f"expected one of the norms ({', '.join(labels)}), found {format_value(reference)}"
        if "norm" in source.replaced_factors:
            what += f"; give `--set {shlex.quote(f'reference={labels[0]}')}` too"
    source.problems.append(source.problem(("reference",), what))


def _take_root(source: Source) -> str | None:
    """`data.root` says where the files lie, which is no part of what a trial is."""
    use_root(None)
    data = source.data.get("data")
    if not isinstance(data, dict) or "root" not in data:
        return None
    root = data.pop("root")
    is_users = is_custom(str(data.get("name")))
    if is_users and not _takes_root(str(data["name"])):
        what = f"is of no use to {format_value(data['name'])}, which has no parameter `root`"
        source.problems.append(source.problem(("data", "root"), what))
        return None
    problem = _too_long(root) if isinstance(root, str) and root else "expected a folder's path"
    if problem is None:
        folder = str(Path(root).expanduser().absolute())
        use_root(folder if is_users else None)
        return folder
    source.problems.append(
        source.problem(("data", "root"), f"{problem}, found {format_value(root)}")
    )
    return None


def _takes_root(name: str) -> bool:
    """Whether a data set has a parameter `root`; True where that is told with other mistakes."""
    try:
        return takes_root(name)
    except ValueError:
        return True


def _too_long(path: str) -> str | None:
    """What is wrong with a path that no file system takes."""
    if max(len(part.encode(errors="replace")) for part in path.split("/")) > LONGEST_NAME:
        return f"expected a path whose parts have at most {LONGEST_NAME} bytes each"
    if len(path.encode(errors="replace")) > LONGEST_PATH:
        return f"expected a path of at most {LONGEST_PATH} bytes"
    return None


def _mapping(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}
