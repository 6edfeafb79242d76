"""A grid: what a user writes in YAML, checked whole, and the trials that it stands for.

Reading a grid imports no torch: an error in it is answered at once.
"""

from __future__ import annotations

import os
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from sweep.errors import GridError
from sweep.grid import yaml_source
from sweep.grid.expand import GridTrial, expand
from sweep.grid.factors import read_factors
from sweep.grid.field_changes import apply_changes
from sweep.grid.field_names import TRIAL_FIELDS
from sweep.grid.layout import Layout, Resources, SeedsUntilDecided, describe_long_path
from sweep.grid.left_out import LeftOut, find_excluded_cells
from sweep.grid.mapping_source import MAPPING_PATH, read_mapping
from sweep.grid.norm_levels import describe_impossible_label
from sweep.grid.preset_changes import PresetChanges
from sweep.grid.seed_looks import check_comparable_cells
from sweep.grid.shadowed_modules import report_shadowed_modules
from sweep.grid.validation_messages import dotted_keys, format_value, validation_problems
from sweep.grid.yaml_source import Source
from sweep.process.import_order import put_custom_modules_last
from trainables.data.custom import (
    FactsByDataset,
    export_dataset_facts,
    has_root_parameter,
    import_dataset_facts,
    set_custom_data_root,
)
from trainables.spec import is_custom

MAX_CHANGES_LENGTH = 1500
"""Characters of the options `--set` that are kept: they must fit into a tag of MLflow."""


@dataclass(frozen=True)
class Grid:
    """A grid that was read and checked: its trials, and how and where they are trained.

    Attributes:
        path: the grid's file.
        name: names the folder of the records.
        trials: all of one seed before the next seed's, in the order of the file.
        resources: what a trial occupies.
        experiment: name of the MLflow experiment.
        storage: folder or address under which the folder of the records lies.
        data_root: folder of the data sets' files; None for the default one.
        reference: label of the norm that the others are compared with.
        skip_infeasible: whether cells that cannot be trained are left out, instead of refused.
        import_paths: folders in which a user's own modules are looked for.
        extra_factors: dotted names of the factors beside norm, batch size and seed.
        preset: what a preset replaced in the file's trials; None for the full grid.
        checkpoint_every_s: seconds between two checkpoints within an epoch.
        changes: the options `--set` of the command, as `train.epochs=2`.
        log_models: whether MLflow gets the last checkpoints of completed trials.
        left_out: the cells that are crossed and not trained, and why not.
        warnings: a line for each rule of the file that names what there is not.
        notes: a line for each rule whose meaning the author may not expect.
        folder: working folder of the command that read the grid.
        digest: digest of the file's content without the `changes` (see `sweep.grid.digest`).
        seed_looks: how many seeds are trained until contrasts are decided, where the grid says so:
            `trials` are then all that may be trained; None for fixed seeds.
        custom_data: dimensions and digests of the user's own data sets that have been read.
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
    extra_factors: tuple[str, ...]
    preset: PresetChanges | None = None
    checkpoint_every_s: float = 60
    changes: tuple[str, ...] = ()
    log_models: bool = False
    left_out: tuple[LeftOut, ...] = ()
    warnings: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    folder: str = ""
    digest: str = ""
    seed_looks: SeedsUntilDecided | None = None
    custom_data: FactsByDataset = field(default_factory=dict, compare=False)

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Restore a pickled grid, and what this process then knows of the user's data sets.

        A process that gets the grid need not read the data sets for their dimensions.
        """
        vars(self).update(state)
        import_dataset_facts(self.custom_data)
        is_stated = any(trial.spec.data.digest for trial in self.trials)
        set_custom_data_root(self.data_root if is_stated else None)

    @property
    def file_identity(self) -> dict[str, str]:
        """Digest of the grid's file and options `--set`, by which `analysis` recognises it."""
        words = [word for change in self.changes for word in ("--set", change)]
        return {"digest": self.digest, "changes": shlex.join(words)[:MAX_CHANGES_LENGTH]}

    @property
    def arguments(self) -> str:
        """The arguments with which a command reads this grid: its file and the options."""
        words = [str(self.path), *(["--scale", "small"] if self.preset else [])]
        words += [word for change in self.changes for word in ("--set", change)]
        return shlex.join(words)


def load_grid(
    grid: str | os.PathLike[str] | Mapping[str, Any], changes: Sequence[str] = ()
) -> Grid:
    """Return a grid that was read from its file, or from a mapping, and checked.

    A user's own layer, model or data set is imported from the current folder or from the grid's,
    and the data set is called for its dimensions; nothing else is executed.

    Args:
        grid: path of the YAML file, or the file's content as a mapping.
        changes: fields to replace, as the option `--set` has them: `train.epochs=2`.

    Raises:
        GridError: something is wrong; the error has every problem of the grid, with its line.
        RefusedError: the file cannot be read.
    """
    if isinstance(grid, Mapping):
        file, source, named = MAPPING_PATH, read_mapping(grid), ""
    else:
        file, source, named = Path(grid), yaml_source.read_yaml(Path(grid)), str(Path(grid))
    if not isinstance(source.data, dict):
        source.add_problem((), f"expected a mapping, found {format_value(source.data)}")
        raise GridError(named, source.problems)
    apply_changes(source, changes)
    import_paths = tuple(dict.fromkeys([os.getcwd(), str(file.resolve().parent)]))
    put_custom_modules_last(import_paths)
    report_shadowed_modules(source, import_paths)
    data_root = _read_data_root(source)
    layout = _read_layout(source)
    factors = read_factors(source, _as_mapping(source.data.get("factors")))
    # Without a layout the grid is refused; its trials are made to find the other problems.
    expansion = expand(source, factors, layout.seeding if layout else "per_cell")
    if factors.seed_looks:
        check_comparable_cells(source, factors.norms)
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
        extra_factors=tuple(name for name, _ in factors.extra_factors),
        checkpoint_every_s=layout.checkpoint_every_s,
        changes=tuple(changes),
        log_models=layout.tracking.log_models,
        left_out=find_excluded_cells(factors, expansion.trials),
        warnings=expansion.warnings,
        notes=expansion.notes,
        folder=os.getcwd(),
        digest=source.digest,
        seed_looks=factors.seed_looks,
        custom_data=export_dataset_facts(),
    )


def _read_layout(source: Source) -> Layout | None:
    """Return the grid's sections, or None, with the problems added, where one of them is wrong."""
    try:
        return Layout.model_validate(source.data)
    except ValidationError as error:
        places = [*TRIAL_FIELDS, *dotted_keys(Layout)]
        source.problems.extend(validation_problems(error, source, Layout, (), places))
        return None


def _check_reference(source: Source, reference: str | None, labels: list[str]) -> None:
    """Add a problem for a reference that is not among the norms' labels."""
    if reference is None or reference in labels:
        return
    if any(p.where.startswith("factors.norm") for p in source.problems):
        listed = _as_mapping(source.data.get("factors")).get("norm")
        what = describe_impossible_label(reference, listed, labels)
        if what is None:
            return
    else:
        what = f"expected one of the norms ({', '.join(labels)}), found {format_value(reference)}"
        if "norm" in source.replaced_factors:
            what += f"; give `--set {shlex.quote(f'reference={labels[0]}')}` too"
    source.add_problem(("reference",), what)


def _read_data_root(source: Source) -> str | None:
    """Return the folder `data.root`, absolute, and take the field out of the grid's data.

    The place of the files is no part of what a trial is. A user's own data set is told the folder
    whenever this process calls it.
    """
    set_custom_data_root(None)
    data = source.data.get("data")
    if not isinstance(data, dict) or "root" not in data:
        return None
    root = data.pop("root")
    is_users = is_custom(str(data.get("name")))
    if is_users and not _may_take_root(str(data["name"])):
        what = f"is of no use to {format_value(data['name'])}, which has no parameter `root`"
        source.add_problem(("data", "root"), what)
        return None
    is_text = isinstance(root, str) and root
    problem = describe_long_path(root) if is_text else "expected a folder's path"
    if problem is None:
        folder = str(Path(root).expanduser().absolute())
        set_custom_data_root(folder if is_users else None)
        return folder
    source.add_problem(("data", "root"), f"{problem}, found {format_value(root)}")
    return None


def _may_take_root(name: str) -> bool:
    """Return whether a data set has a parameter `root`.

    True where the data set cannot be imported: that is a problem of its own.
    """
    try:
        return has_root_parameter(name)
    except ValueError:
        return True


def _as_mapping(value: Any) -> dict[str, Any]:
    """Return `value` if it is a dictionary, else an empty one."""
    return value if isinstance(value, dict) else {}
