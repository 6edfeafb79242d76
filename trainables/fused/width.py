"""The choice of how many networks to train side by side, made by timing steps of the training."""

from __future__ import annotations

from collections import deque

MAX_RELATIVE_STEP_TIME = 0.97
"""Largest share of a separate trial's step time at which training side by side is used."""

TIMED_S = 0.3
"""Seconds for which a width is timed, about."""

WARM_UP_STEPS = 3
"""Steps of a new width before timing starts."""


MAX_NETWORKS = 8
"""More networks side by side gain little: beyond, a step of a small network is arithmetic."""


class WidthSelector:
    """Selects how many trials train as one network: a fixed number, or else the fastest.

    Every width is tried for some steps of the training itself, which count like all others: first
    one network at a time, then all at once, then a half, a quarter, … of them. No time is lost but
    the time by which the slower widths are slower.

    Args:
        num_trials: trials in training.
        fixed: the number of networks; None: the fastest.

    Attributes:
        step_s: seconds that a step of all trials took, by the widths that were timed.
    """

    def __init__(self, num_trials: int, fixed: int | None = None) -> None:
        self.step_s: dict[int, float] = {}
        self._best = min(fixed or 1, num_trials)
        self._to_try: deque[tuple[int, bool]] = deque()
        if fixed is None:
            for width in candidate_widths(num_trials) if num_trials > 1 else ():
                self._to_try += [(width, False), (width, True)]
        self._timed_steps = WARM_UP_STEPS

    @property
    def current(self) -> int:
        """Number of networks side by side for the next steps."""
        return self._to_try[0][0] if self._to_try else self._best

    @property
    def num_steps(self) -> int | None:
        """Most steps of the next chunk while widths are tried; None once the width is chosen."""
        if not self._to_try:
            return None
        return self._timed_steps if self._to_try[0][1] else WARM_UP_STEPS

    def observe(self, num_steps: int, seconds: float) -> None:
        """Add the seconds that `num_steps` steps of all trials took with the current width."""
        if not self._to_try:
            return
        width, counts = self._to_try.popleft()
        if counts:
            self.step_s[width] = seconds / num_steps
        else:
            self._timed_steps = max(WARM_UP_STEPS, int(TIMED_S * num_steps / max(seconds, 1e-9)))
        if not self._to_try:
            self._settle()

    def use_single_networks(self) -> None:
        """Choose one network at a time from now on."""
        self._to_try.clear()
        self._best = 1

    def _settle(self) -> None:
        """Choose the fastest width, or 1 if the fastest gains too little."""
        fastest = min(self.step_s, key=lambda width: self.step_s[width])
        pays = self.step_s[fastest] <= MAX_RELATIVE_STEP_TIME * self.step_s[1]
        self._best = fastest if pays else 1


def candidate_widths(num_trials: int) -> list[int]:
    """Return the widths to try: 1, all trials at once, and halves thereof."""
    found, width = [1], num_trials
    while width > 1:
        found.append(width)
        width = (width + 1) // 2 if width > 2 else 1
    return found
