"""Notes on a grid that is valid: what its author would want to know before it runs."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Hashable, Iterable, Iterator
from dataclasses import fields

from sweep.grid.expand import GridTrial
from sweep.grid.model import Grid
from sweep.grid.shadowed_modules import find_shadowed_imports
from sweep.planning.trial_states import TrialStates
from sweep.records.custom_source import source_digest
from sweep.wording import count_noun
from trainables.spec import ScheduleSpec, TrainSpec, is_custom
from trainables.stepping.compile_support import missing_compiler, reason_not_compilable

GAMMA = next(field.default for field in fields(ScheduleSpec) if field.name == "gamma")


def grid_notes(grid: Grid) -> list[str]:
    """Return notes on settings without effect, likely wrong units, and cells that are equal."""
    trains = dict.fromkeys(trial.spec.train for trial in grid.trials)
    lines = [
        line
        for train in trains
        for line in (*_find_idle_schedule_settings(train), *_find_fraction_thresholds(train))
    ]
    return [
        *dict.fromkeys(lines),
        *_find_unused_reference_batch_sizes(trains),
        *_find_custom_model_warnings(grid),
        *_find_reasons_not_compiled(grid),
        *_find_equal_cells(grid),
        *_find_equal_training(grid),
        *find_shadowed_imports(grid.import_paths),
    ]


def changed_source_notes(states: TrialStates) -> list[str]:
    """Return a line for each custom module that has changed since finished trials were trained."""
    trials: dict[tuple[str, ...], list[GridTrial]] = defaultdict(list)
    for trial in states.grid.trials:
        if trial.spec.custom_names:
            trials[trial.spec.custom_names].append(trial)
    lines = []
    for own, of_them in trials.items():
        source = source_digest(own, states.grid.import_paths)
        finished = [states.records[t.trial_id] for t in of_them if states.outcome(t) is not None]
        others = [
            record
            for record in finished
            if (last := record.last_attempt) and last.source not in (None, source)
        ]
        if others:
            lines.append(
                f"the source of {' or '.join(own)} has changed since the training of "
                f"{count_noun(len(others), 'finished trial')}, and the results stay; to train "
                f"again, give it another name, or delete the trials' folders in "
                f"{states.folder.storage.uri}/trials"
            )
    return lines


def unsaved_state_warnings(grid: Grid) -> list[str]:
    """Return a line for each custom norm and model whose training state checkpoints do not hold.

    Each norm is tried once in each model on each data set, at the largest batch size.
    """
    from trainables.unsaved_state import describe_unsaved_state

    largest: dict[Hashable, GridTrial] = {}
    for trial in sorted(grid.trials, key=lambda trial: -trial.spec.batch_size):
        largest.setdefault((trial.spec.norm, trial.spec.model, trial.spec.data), trial)
    lines = (line for trial in largest.values() for line in describe_unsaved_state(trial.spec))
    return list(dict.fromkeys(lines))


def missing_data_notes(grid: Grid) -> list[str]:
    """Return a line for each data set whose files are not on this machine; reads no file."""
    from trainables import data

    lines = []
    for name in dict.fromkeys(trial.spec.data.name for trial in grid.trials):
        is_trainable = name not in data.DATASETS or data.DATASETS[name].trainable
        how = data.describe_download(name, grid.data_root) if is_trainable else None
        if how:
            where = data.data_root(grid.data_root)
            lines.append(f"the files of {name} are not in {where}: with `run` {how}")
    return lines


def _find_idle_schedule_settings(train: TrainSpec) -> Iterator[str]:
    """Yield a note for each field of the learning rate's schedule that has no effect."""
    schedule = train.schedule
    late = [milestone for milestone in schedule.milestones if milestone >= train.epochs]
    if late:
        yield (
            f"train.schedule.milestones: the rate drops after an epoch, and there are "
            f"{train.epochs}: {', '.join(map(str, late))} is without effect"
        )
    if schedule.gamma != GAMMA and schedule.name != "multistep":
        yield (
            f"train.schedule.gamma: {schedule.gamma:g} is without effect, since it belongs to the "
            f"multistep schedule and the schedule is {schedule.name}"
        )


def _find_fraction_thresholds(train: TrainSpec) -> Iterator[str]:
    """Yield a note if the threshold looks like a fraction in place of a percentage."""
    if train.threshold is not None and train.threshold < 1:
        yield (
            f"train.threshold: {train.threshold:g} is {train.threshold:g} % of the test images; "
            f"write {100 * train.threshold:g} if you mean that share"
        )


def _find_unused_reference_batch_sizes(trains: Iterable[TrainSpec]) -> Iterator[str]:
    """Yield a note for each reference batch size that scales no learning rate."""
    stated = dict.fromkeys(t.reference_batch_size for t in trains if t.reference_batch_size)
    used = {t.reference_batch_size for t in trains if t.lr_scaling != "none"}
    for size in stated:
        if size not in used:
            yield (
                f"train.reference_batch_size: {size} is without effect, since train.lr_scaling is "
                f"none; write lr_scaling: linear (or sqrt), or leave it out"
            )


def _find_custom_model_warnings(grid: Grid) -> list[str]:
    """Return warnings on custom models, each run with each norm and data set.

    The runs use the largest batch size. The warnings are those of
    `trainables.inspection.find_model_warnings`, and one on initial weights that are kept.
    """
    from trainables.inspection import find_model_warnings

    largest: dict[Hashable, GridTrial] = {}
    for trial in sorted(grid.trials, key=lambda trial: -trial.spec.batch_size):
        if is_custom(trial.spec.model.name):
            largest.setdefault((trial.spec.norm, trial.spec.model, trial.spec.data), trial)
    kept = sorted({t.spec.model.name for t in largest.values() if t.spec.model.initial_weights})
    lines = [
        f"model {name!r} keeps the initial weights with which it is built, under the seed; "
        f"model.initial_weights: replaced draws those of its convolutions and linear layers as the "
        f"built-in models have them, as earlier versions did"
        for name in kept
    ]
    found = [line for trial in largest.values() for line in find_model_warnings(trial.spec)]
    return list(dict.fromkeys([*lines, *found]))


def _find_reasons_not_compiled(grid: Grid) -> Iterator[str]:
    """Yield a note on why trials cannot be compiled, if the grid asks for compilation."""
    if grid.resources.compile is False:
        return
    reasons = {reason_not_compilable(trial.spec.train) for trial in grid.trials} - {None}
    for why in sorted(map(str, reasons)):
        yield f"resources.compile is without effect where {why}"
    missing = missing_compiler()
    if missing is not None:
        yield f"resources.compile is without effect on this machine: {missing}"


def _find_equal_cells(grid: Grid) -> Iterator[str]:
    """Yield a note for each set of cells that are the same computation under other names."""
    sizes: dict[tuple[str, ...], list[int]] = defaultdict(list)
    for trials in _group_equal_computations(grid):
        cells = tuple(_format_norm(trial) for trial in trials)
        sizes[cells].append(trials[0].spec.batch_size)
    for cells, found in sizes.items():
        at = f"batch size{'s' if len(found) > 1 else ''} {', '.join(map(str, found))}"
        yield f"{' and '.join(cells)} are one and the same computation at {at}"


def _group_equal_computations(grid: Grid) -> Iterator[list[GridTrial]]:
    """Yield the groups of trials of one seed whose setup and norm layers compute the same."""

    from trainables.equivalence import norm_layers_key, setup_key

    alike: dict[Hashable, list[GridTrial]] = defaultdict(list)
    for trial in grid.trials:
        if trial.spec.seed == grid.trials[0].spec.seed:
            alike[setup_key(trial.spec)].append(trial)
    for trials in alike.values():
        if len(trials) < 2:
            continue
        same: dict[Hashable, list[GridTrial]] = defaultdict(list)
        for trial in trials:
            same[norm_layers_key(trial.spec)].append(trial)
        yield from (found for found in same.values() if len(found) > 1)


def _find_equal_training(grid: Grid) -> Iterator[str]:
    """Yield a note for each set of norms that train equally and differ in evaluation only."""
    from trainables.equivalence import setup_key, training_norm_key

    alike: dict[Hashable, dict[str, GridTrial]] = defaultdict(dict)
    for trial in grid.trials:
        if trial.spec.seed == grid.trials[0].spec.seed and not trial.spec.custom_names:
            key = (setup_key(trial.spec), training_norm_key(trial.spec.norm))
            alike[key].setdefault(_format_norm(trial), trial)
    sizes: dict[tuple[tuple[str, ...], tuple[str, ...]], list[int]] = defaultdict(list)
    for cells in alike.values():
        options = [trial.spec.norm.options for trial in cells.values()]
        differ = tuple(k for k in options[0] if len({str(of.get(k)) for of in options}) > 1)
        if differ:
            size = next(iter(cells.values())).spec.batch_size
            sizes[tuple(cells), differ].append(size)
    for (names, differ), found in sizes.items():
        at = f"batch size{'s' if len(found) > 1 else ''} {', '.join(map(str, found))}"
        yield (
            f"{' and '.join(names)} differ in {' and '.join(differ)} alone, which training does "
            f"not use: at {at} they are trained to the same weights, and all of a difference "
            f"between them arises at test time"
        )


def _format_norm(trial: GridTrial) -> str:
    """Return the label of the trial's norm, with the variant if there is one."""
    return f"{trial.norm} ({trial.variant})" if trial.variant else trial.norm
