"""How the missing trials of a sweep that was begun before go on: resumed, begun again, or new."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from sweep.grid.expand import GridTrial
from sweep.planning.plan import Plan
from sweep.records.custom_source import source_digest
from sweep.records.record import Record
from trainables.spec import is_custom


@dataclass(frozen=True)
class Resumption:
    """Counts of a plan's trials by how a run continues them.

    Attributes:
        num_done: trials that have an outcome.
        num_resumed: trials that continue from their last checkpoint.
        num_restarted: trials with a checkpoint that begin again from the first epoch.
        num_new: trials without a checkpoint.
        restart_reasons: what has changed since the restarted trials were trained.
    """

    num_done: int
    num_resumed: int
    num_restarted: int
    num_new: int
    restart_reasons: tuple[str, ...] = ()

    @property
    def was_begun(self) -> bool:
        """Whether an earlier command has trained anything of this plan."""
        return bool(self.num_done or self.num_resumed or self.num_restarted)


def count_resumed_trials(plan: Plan) -> Resumption:
    """Return how many trials a run resumes, restarts and begins, by records and checkpoints."""
    missing = plan.missing()
    reasons: dict[str, str | None] = {}
    for trial in missing:
        record = plan.records.get(trial.trial_id)
        if record is None or plan.folder.trial(trial.trial_id).newest_checkpoint() is None:
            continue
        reasons[trial.trial_id] = find_restart_reason(plan, trial, record)
    num_resumed = sum(reason is None for reason in reasons.values())
    return Resumption(
        num_done=len(plan.grid.trials) - len(missing),
        num_resumed=num_resumed,
        num_restarted=len(reasons) - num_resumed,
        num_new=len(missing) - len(reasons),
        restart_reasons=tuple(_list_distinct(reasons.values())),
    )


def find_restart_reason(plan: Plan, trial: GridTrial, record: Record) -> str | None:
    """Return which custom code or data has changed since the record's last attempt, or None.

    A worker that resumes the trial finds the same change, and begins from the first epoch.
    """
    last = record.last_attempt
    source = source_digest(trial.spec.custom_names, plan.grid.import_paths)
    if last and last.source not in (None, source):
        return f"the source of {' or '.join(trial.spec.custom_names)} has changed"
    if is_custom(trial.spec.data.name) and last and last.data is not None:
        from trainables.data.custom import read_custom_data

        if last.data != read_custom_data(trial.spec.data).digest:
            return f"{trial.spec.data.name} has other images or labels than before"
    return None


def _list_distinct(reasons: Iterable[str | None]) -> list[str]:
    """Return the reasons without None and without repetition, in order."""
    return list(dict.fromkeys(reason for reason in reasons if reason is not None))
