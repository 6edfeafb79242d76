"""Counts how often a trial has lost its worker without progress in between."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from sweep.records.record import SweepFolder

LOST_WORKERS = 3
"""How often in a row a trial that made no progress gets another worker after a loss."""

Mark = tuple[int, int]


@dataclass
class Losses:
    """Counts the losses of trials that share a worker since the last progress of one of them.

    Progress is read from the checkpoints, from which another worker resumes the trials.
    """

    folder: SweepFolder
    _reached: dict[str, Mark] = field(default_factory=dict)
    _counts: dict[str, int] = field(default_factory=dict)

    def count(self, trial_ids: Sequence[str]) -> int:
        """Count a loss of the trials' worker; return the losses since the last progress."""
        first = trial_ids[0]
        marks = {trial_id: self._newest_position(trial_id) for trial_id in trial_ids}
        further = any(mark > self._reached.get(key, (-1, -1)) for key, mark in marks.items())
        for key, mark in marks.items():
            self._reached[key] = max(mark, self._reached.get(key, mark))
        self._counts[first] = 1 if further else self._counts.get(first, 0) + 1
        return self._counts[first]

    def _newest_position(self, trial_id: str) -> Mark:
        """Return epoch and step of the newest checkpoint, or the last known ones on an error."""
        try:
            return self.folder.trial(trial_id).newest_checkpoint() or (0, 0)
        except OSError:  # a storage that cannot be read just now
            return self._reached.get(trial_id, (0, 0))
