"""Trials on the storage that a grid does not ask for, or that it has under another name."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from sweep.planning.plan import Plan
from sweep.records.flat_params import flatten_params
from sweep.records.record import Record, SweepFolder
from sweep.records.storage import Storage
from sweep.wording import count_noun
from trainables.spec import spec_to_dict

MOST_READ = 200
"""Records of trials no longer asked for that are read to say what they differ in."""

MOST_SWEEPS = 50
"""Sweeps of one storage in which trials are looked for."""

MOST_VALUES = 3


def kept_trials(plan: Plan) -> list[str]:
    """A line for the trials of other settings, and one for each sweep that has missing ones."""
    return [*_of_other_settings(plan), *_under_other_names(plan)]


def _of_other_settings(plan: Plan) -> Iterator[str]:
    ids = {trial.trial_id for trial in plan.grid.trials}
    place = plan.folder.storage.below("trials")
    others = [name for name in place.names() if name not in ids and not name.startswith(".")]
    if not others:
        return
    records, _ = plan.folder.load_readable(others[:MOST_READ])
    before = _values(record.spec for record in records.values())
    now = _values(spec_to_dict(trial.spec) for trial in plan.grid.trials)
    differences = [
        f"{name} {_listed(values)}, now {_listed(now[name])}"
        for name, values in before.items()
        if name in now and values.isdisjoint(now[name])
    ]
    what = f" ({'; '.join(differences)})" if differences else ""
    yield (
        f"{count_noun(len(others), 'trial')} of other settings than this grid's{what} "
        f"{'is' if len(others) == 1 else 'are'} in {place.uri}; they are kept, and are no part of "
        f"this sweep's results"
    )


def _under_other_names(plan: Plan) -> Iterator[str]:
    missing = [trial.trial_id for trial in plan.missing() if trial.trial_id not in plan.records]
    if not missing:
        return
    storage = Storage.at(plan.grid.storage)
    names = [name for name in storage.names() if name != plan.grid.name and name[0] not in "._"]
    for name in names[:MOST_SWEEPS]:
        folder = SweepFolder(storage.below(name))
        there = set(folder.storage.below("trials").names())
        found, _ = folder.load_readable([trial for trial in missing if trial in there])
        if found:
            yield (
                f"{_which(found.values(), len(missing))} in the sweep {name} too; "
                f"`--set name={name}` goes on with them instead of training them again"
            )


def _which(found: Iterable[Record], num_missing: int) -> str:
    records = list(found)
    num_done = sum(record.outcome is not None for record in records)
    are = "is" if len(records) == 1 else "are"
    return (
        f"{len(records):,} of the {count_noun(num_missing, 'trial')} without a record {are} "
        f"({num_done:,} with an outcome)"
    )


def _values(specs: Iterable[Mapping[str, Any]]) -> dict[str, set[str]]:
    """The values of each field, as text."""
    found: dict[str, set[str]] = {}
    for spec in specs:
        for name, value in flatten_params(spec):
            found.setdefault(name, set()).add(str(value))
    return found


def _listed(values: set[str]) -> str:
    shown = sorted(values)[:MOST_VALUES]
    return "/".join(shown) + ("/…" if len(values) > MOST_VALUES else "")
