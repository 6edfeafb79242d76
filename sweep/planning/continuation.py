"""What a run goes on with: which of a plan's trials resume, and which begin, or begin again."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from sweep.grid.expand import GridTrial
from sweep.planning.plan import Plan
from sweep.records.custom_source import source_digest
from sweep.records.record import Record
from sweep.wording import count_noun
from trainables.spec import is_custom


@dataclass(frozen=True)
class Continuation:
    """Trials of a sweep that was begun before, by what becomes of them.

    `reasons` says of what the unfinished trials depend on, that has changed since they began.
    """

    num_done: int
    num_resumed: int
    num_again: int
    num_new: int
    reasons: tuple[str, ...] = ()

    def line(self) -> str | None:
        """One line for the person; None where nothing has begun before."""
        if not (self.num_done or self.num_resumed or self.num_again):
            return None
        parts = [
            f"{count_noun(self.num_done, 'trial')} done before",
            f"{self.num_resumed} from their last checkpoints",
        ]
        if self.num_again:
            parts.append(
                f"{self.num_again} again from the first epoch, since {' and '.join(self.reasons)}"
            )
        return f"going on: {', '.join(parts)}, {self.num_new} from the beginning"


def continuation(plan: Plan) -> Continuation:
    """What the trials that a plan misses begin with, by their records and checkpoints."""
    missing = plan.missing()
    reasons: dict[str, str | None] = {}
    num_resumed = num_again = 0
    for trial in missing:
        record = plan.records.get(trial.trial_id)
        if record is None or plan.folder.trial(trial.trial_id).newest_checkpoint() is None:
            continue
        reasons[trial.trial_id] = reason = what_has_changed(plan, trial, record)
        num_resumed += reason is None
        num_again += reason is not None
    return Continuation(
        num_done=len(plan.grid.trials) - len(missing),
        num_resumed=num_resumed,
        num_again=num_again,
        num_new=len(missing) - num_resumed - num_again,
        reasons=tuple(_distinct(reasons.values())),
    )


def what_has_changed(plan: Plan, trial: GridTrial, record: Record) -> str | None:
    """What of the user's own is not as it was for the epochs on record, if something is.

    A worker that resumes the trial finds the same, and forgets these epochs.
    """
    last = record.attempts[-1] if record.attempts else {}
    source = source_digest(trial.spec.own, plan.grid.import_paths)
    if last.get("source", source) != source:
        return f"the source of {' or '.join(trial.spec.own)} has changed"
    if is_custom(trial.spec.data.name) and "data" in last:
        from trainables.data.custom import read_custom_data

        if last["data"] != read_custom_data(trial.spec.data).digest:
            return f"{trial.spec.data.name} has other images or labels than before"
    return None


def _distinct(reasons: Iterable[str | None]) -> list[str]:
    return list(dict.fromkeys(reason for reason in reasons if reason is not None))
