"""How many networks side by side train fastest, found out in the course of training."""

from __future__ import annotations

from collections import deque

WORTHWHILE = 0.97
"""Side by side, a trial's step has to take at most this share of what it takes alone."""

TIMED_S = 0.3
WARM_UP_STEPS = 3

MOST_NETWORKS = 8
"""More side by side gain little: beyond, a step of a small network is arithmetic."""


class Width:
    """The number of networks side by side: a given one, or else the fastest.

    Every width is tried for some steps of the training itself, which count like all others: first
    one network at a time, then all at once, then a half, a quarter, … of them. No time is lost but
    that by which the slower ones are slower.

    Attributes:
        step_s: seconds that a step of all trials took, by the widths that were timed.
    """

    def __init__(self, num_trials: int, given: int | None = None) -> None:
        self.step_s: dict[int, float] = {}
        self._best = min(given or 1, num_trials)
        self._to_try: deque[tuple[int, bool]] = deque()
        if given is None:
            for width in candidates(num_trials) if num_trials > 1 else ():
                self._to_try += [(width, False), (width, True)]
        self._timed_steps = WARM_UP_STEPS

    @property
    def now(self) -> int:
        """How many networks side by side take the next steps."""
        return self._to_try[0][0] if self._to_try else self._best

    @property
    def num_steps(self) -> int | None:
        """For how many steps at most, while widths are tried."""
        if not self._to_try:
            return None
        return self._timed_steps if self._to_try[0][1] else WARM_UP_STEPS

    def observe(self, num_steps: int, seconds: float) -> None:
        """Take in how long so many steps of all trials took."""
        if not self._to_try:
            return
        width, counts = self._to_try.popleft()
        if counts:
            self.step_s[width] = seconds / num_steps
        else:
            self._timed_steps = max(WARM_UP_STEPS, int(TIMED_S * num_steps / max(seconds, 1e-9)))
        if not self._to_try:
            self._settle()

    def give_up(self) -> None:
        """Train one network at a time from now on."""
        self._to_try.clear()
        self._best = 1

    def _settle(self) -> None:
        fastest = min(self.step_s, key=lambda width: self.step_s[width])
        pays = self.step_s[fastest] <= WORTHWHILE * self.step_s[1]
        self._best = fastest if pays else 1


def candidates(num_trials: int) -> list[int]:
    """One at a time, all at once, and halves thereof; only one where there is only one trial."""
    found, width = [1], num_trials
    while width > 1:
        found.append(width)
        width = (width + 1) // 2 if width > 2 else 1
    return found
