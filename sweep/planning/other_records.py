"""Records in the storage that a grid does not use: of other settings, or of another sweep."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Any

from sweep.planning.trial_states import TrialStates
from sweep.records.flat_params import flatten_params
from sweep.records.record import Record, SweepFolder
from sweep.records.storage import Storage
from sweep.wording import count_noun
from trainables.spec import spec_to_dict
from trainables.spec_class import Seeding

MAX_RECORDS_READ = 200
"""At most this many unused records are read to say in what they differ."""

MAX_SWEEPS_SEARCHED = 50
"""At most this many other sweeps of the storage are searched for missing trials."""

MAX_VALUES_SHOWN = 3

OTHER_SEEDING: Mapping[Seeding, Seeding] = {"per_cell": "per_seed", "per_seed": "per_cell"}


def other_record_notes(states: TrialStates) -> list[str]:
    """Return notes on stored records that this grid does not use.

    They are records of trials with other settings, and records of the grid's missing trials in
    sweeps of other names.
    """
    return [*_find_records_of_other_settings(states), *_find_records_in_other_sweeps(states)]


def other_seeding_warnings(states: TrialStates) -> list[str]:
    """Return a line if trials without a record have one under the other kind of `seeding`.

    Such a grid is often one of an earlier version, whose trials would all be trained anew.
    """
    num = len(_ids_of_other_seeding(states, _unused_ids(states)))
    if not num:
        return []
    seeding = states.grid.trials[0].spec.seeding
    other = OTHER_SEEDING[seeding]
    earlier = ", as earlier versions trained" if other == "per_seed" else ""
    has, is_, them = ("has", "is", "it") if num == 1 else ("have", "are", "them")
    return [
        f"{num:,} of this grid's {count_noun(len(states.grid.trials), 'trial')} {has} a record "
        f"with `seeding: {other}`{earlier}, and {is_} missing with `seeding: {seeding}`; "
        f"`--set seeding={other}`, or `seeding: {other}` in the grid, goes on with {them} instead "
        f"of training {them} anew"
    ]


def _unused_ids(states: TrialStates) -> list[str]:
    """Return the names of the trials' folders in the sweep's storage that the grid does not use."""
    ids = {trial.trial_id for trial in states.grid.trials}
    names = states.folder.storage.below("trials").names()
    return [name for name in names if name not in ids and not name.startswith(".")]


def _ids_of_other_seeding(states: TrialStates, unused: Iterable[str]) -> set[str]:
    """Return those of the unused ids that are a missing trial's under the other `seeding`."""
    unused = set(unused)
    if not unused:
        return set()  # without the ids, of which each is a hash
    return unused & {
        replace(trial.spec, seeding=OTHER_SEEDING[trial.spec.seeding]).trial_id
        for trial in states.grid.trials
        if trial.trial_id not in states.records
    }


def _find_records_of_other_settings(states: TrialStates) -> Iterator[str]:
    """Yield a line on stored trials whose settings are none of the grid's."""
    place = states.folder.storage.below("trials")
    unused = _unused_ids(states)
    of_other_seeding = _ids_of_other_seeding(states, unused)  # `other_seeding_warnings` names them
    others = [name for name in unused if name not in of_other_seeding]
    if not others:
        return
    records, _ = states.folder.load_readable(others[:MAX_RECORDS_READ])
    before = _collect_field_values(record.spec for record in records.values())
    now = _collect_field_values(spec_to_dict(trial.spec) for trial in states.grid.trials)
    differences = [
        f"{name} {_format_field_values(values)}, now {_format_field_values(now[name])}"
        for name, values in before.items()
        if name in now and values.isdisjoint(now[name])
    ]
    what = f" ({'; '.join(differences)})" if differences else ""
    yield (
        f"{count_noun(len(others), 'trial')} of other settings than this grid's{what} "
        f"{'is' if len(others) == 1 else 'are'} in {place.uri}; they are kept, and are no part of "
        f"this sweep's results"
    )


def _find_records_in_other_sweeps(states: TrialStates) -> Iterator[str]:
    """Yield a line for each sweep of another name that has records of missing trials."""
    missing = [trial.trial_id for trial in states.missing() if trial.trial_id not in states.records]
    if not missing:
        return
    storage = Storage.at(states.grid.storage)
    names = [name for name in storage.names() if name != states.grid.name and name[0] not in "._"]
    for name in names[:MAX_SWEEPS_SEARCHED]:
        folder = SweepFolder(storage.below(name))
        there = set(folder.storage.below("trials").names())
        found, _ = folder.load_readable([trial for trial in missing if trial in there])
        if found:
            yield (
                f"{_format_found_trials(found.values(), len(missing))} in the sweep {name} too; "
                f"`--set name={name}` goes on with them instead of training them again"
            )


def _format_found_trials(found: Iterable[Record], num_missing: int) -> str:
    """Return the beginning of a sentence: how many of the missing trials were found elsewhere."""
    records = list(found)
    num_done = sum(record.outcome is not None for record in records)
    are = "is" if len(records) == 1 else "are"
    return (
        f"{len(records):,} of the {count_noun(num_missing, 'trial')} without a record {are} "
        f"({num_done:,} with an outcome)"
    )


def _collect_field_values(specs: Iterable[Mapping[str, Any]]) -> dict[str, set[str]]:
    """Return the values of each field of some specs, as text, by the field's name."""
    found: dict[str, set[str]] = {}
    for spec in specs:
        # A spec leaves out the default of `seeding`, which a grid's default is not.
        for name, value in flatten_params({"seeding": "per_seed", **spec}):
            found.setdefault(name, set()).add(str(value))
    return found


def _format_field_values(values: set[str]) -> str:
    """Return the values, sorted and joined by `/`, of many only the first ones."""
    shown = sorted(values)[:MAX_VALUES_SHOWN]
    return "/".join(shown) + ("/…" if len(values) > MAX_VALUES_SHOWN else "")
