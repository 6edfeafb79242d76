"""A look at the sweep between two seeds, which a process of the analysis takes.

This package does not import the analysis: what decides is the same code that writes the report,
and it runs in a process of its own, as the report does.
"""

from __future__ import annotations

import json
import logging
import math
import subprocess
import sys
from collections.abc import Iterator

from pydantic import ValidationError

from sweep.errors import ExitCode, SweepError
from sweep.planning.looks import list_first_trials, make_look_request
from sweep.planning.trial_states import TrialStates
from sweep.process.logs import log_arguments
from sweep.records.look_history import (
    LOOKS_VERSION,
    ContrastAtLook,
    Look,
    LookData,
    LookHistory,
    LookRule,
    save_looks,
)
from sweep.records.record import utc_now

ESTIMATE_TOLERANCE = 1e-9
"""Percentage points by which an estimate may differ when it is computed again."""

logger = logging.getLogger(__name__)


class LookFailedError(SweepError):
    """The process that takes a look has failed; the same call takes the look again."""

    exit_code = ExitCode.INCOMPLETE


class _Answer(LookData):
    """What `norm-sweep decide` answers."""

    version: int
    rule: LookRule
    retaken: tuple[Look, ...]
    look: Look


def take_look(states: TrialStates, num_seeds: int) -> tuple[LookHistory, tuple[str, ...]]:
    """Decide the open contrasts after the first `num_seeds` seeds, and write the look.

    Args:
        states: the needed trials, all of which have an outcome.
        num_seeds: how many seeds the look is taken after.

    Returns:
        The looks so far with the new one, and a line for each earlier look that the records no
        longer give: its stored decisions hold.

    Raises:
        LookFailedError: the process has failed.
    """
    answer = _ask_analysis(json.dumps(make_look_request(states, num_seeds)))
    look = answer.look.model_copy(update={"taken": utc_now()})
    earlier = states.looks.looks if states.looks else ()
    changed = tuple(_describe_changes(earlier, answer.retaken))
    history = LookHistory(
        version=LOOKS_VERSION,
        trial_ids=list_first_trials(states.grid.trials),
        rule=states.looks.rule if states.looks else answer.rule,
        looks=(*earlier, look),
    )
    save_looks(states.folder, history)
    return history, changed


def _ask_analysis(request: str) -> _Answer:
    """Return the answer of `python -m analysis decide` to a request."""
    command = [sys.executable, "-m", "analysis", "decide", *log_arguments()]
    # Ctrl-C reaches every process of a terminal's session, and would end this one.
    done = subprocess.run(
        command, input=request, capture_output=True, text=True, check=False, start_new_session=True
    )
    said = done.stderr.strip().splitlines()
    for line in said:
        logger.info("decide: %s", line)
    if done.returncode != 0:
        reason = said[-1] if said else f"it ended with {done.returncode}"
        raise LookFailedError(f"`python -m analysis decide` has failed: {reason}")
    try:
        return _Answer.model_validate_json(done.stdout)
    except ValidationError as error:
        raise LookFailedError(
            f"`python -m analysis decide` gave another answer than expected: {error.errors()[0]}"
        ) from None


def _describe_changes(stored: tuple[Look, ...], retaken: tuple[Look, ...]) -> Iterator[str]:
    """Yield a line for each stored look that differs from the one taken again from the records.

    A contrast that had a trial without a result is not compared: the trial may have got one.
    """
    for look, again in zip(stored, retaken, strict=True):
        now = {item.key: item for item in again.contrasts}
        changed = [
            f"{item.norm} {item.measure}"
            for item in look.contrasts
            if item.is_complete and _differs(item, now[item.key])
        ]
        if changed:
            yield (
                f"the records no longer give the look after {look.num_seeds} seeds "
                f"({', '.join(changed)}): the decisions that were taken hold"
            )


def _differs(stored: ContrastAtLook, again: ContrastAtLook) -> bool:
    """Return whether the decision or the estimate is another one."""
    one, other = stored.estimate, again.estimate
    if one is None or other is None:
        return one != other
    is_close = math.isclose(one, other, rel_tol=0, abs_tol=ESTIMATE_TOLERANCE)
    return stored.decision != again.decision or not is_close
