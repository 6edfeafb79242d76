"""`looks.json`: the looks at a sweep whose seeds are trained until its contrasts are decided.

The file holds the rule that was declared before the first look, with its boundaries, and what each
look found and decided. A look is written before a trial of the next seed starts, and is never
changed: neither later trials nor a later version of the program alter a decision.
"""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, ValidationError

from sweep.records.record import RecordDamagedError, SweepFolder

LOOKS = "looks.json"
LOOKS_VERSION = 1
OPEN = "open"
"""The decision on a contrast that needs more seeds, or had no more when the sweep ended."""

ContrastKey = tuple[str, str, str]
"""Variant, norm and measure."""

Cell = tuple[str, str, int]
"""Variant, norm and batch size."""


class LookData(BaseModel):
    """Base of what `looks.json` holds: frozen, without unknown keys, without conversions."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class DeclaredContrast(LookData):
    """A difference of a norm from the reference that the sweep decides.

    Attributes:
        variant: label of the levels of the extra factors.
        norm: label of the norm.
        measure: `level` or `robustness`.
        batch_sizes: the batch sizes of the comparison, from large to small.
        needed_batch_sizes: those whose trials the measure is computed from.
    """

    variant: str
    norm: str
    measure: str
    batch_sizes: tuple[int, ...]
    needed_batch_sizes: tuple[int, ...]

    @property
    def key(self) -> ContrastKey:
        """What names the contrast."""
        return (self.variant, self.norm, self.measure)


class LookRule(LookData):
    """What was declared before the first look.

    Attributes:
        first: seeds of each cell at the first look.
        last: seeds at the last look.
        reference: label of the norm that the others are compared with.
        seeding: what the random streams depend on: `per_cell` or `per_seed`.
        alpha: probability of a false claim that all looks may spend.
        spending_exponent: after n seeds, `alpha (n / last)^spending_exponent` may be spent.
        margins: difference in points that counts as none, by variant.
        contrasts: the family of contrasts.
        boundaries: the largest p that is a claim, by open contrasts (from 1) and look.
    """

    first: int
    last: int
    reference: str
    seeding: str
    alpha: float
    spending_exponent: float
    margins: dict[str, float]
    contrasts: tuple[DeclaredContrast, ...]
    boundaries: tuple[tuple[float, ...], ...]


class ContrastAtLook(LookData):
    """What a look found of a contrast and decided; a number that there is not is None.

    Attributes:
        variant: label of the levels of the extra factors.
        norm: label of the norm.
        measure: `level` or `robustness`.
        decision: `open`, `different`, `equivalent` or `not distinguishable`.
        is_complete: whether every trial behind the contrast has a result.
        estimate: norm minus reference, percentage points.
        standard_error: standard error of the estimate.
        df: degrees of freedom of the standard error.
        p: two-sided p of no difference.
        boundary: the largest p that would have been a claim.
        half_width: half width of the interval at the boundary's level.
    """

    variant: str
    norm: str
    measure: str
    decision: str
    is_complete: bool
    estimate: float | None
    standard_error: float | None
    df: float | None
    p: float | None
    boundary: float
    half_width: float | None

    @property
    def key(self) -> ContrastKey:
        """What names the contrast."""
        return (self.variant, self.norm, self.measure)

    @property
    def is_open(self) -> bool:
        """Whether the contrast is not decided."""
        return self.decision == OPEN


class Look(LookData):
    """The contrasts that were open before a look, after so many seeds of their cells.

    Attributes:
        num_seeds: seeds of each cell behind an open contrast.
        contrasts: what was found and decided.
        taken: when, in UTC.
    """

    num_seeds: int
    contrasts: tuple[ContrastAtLook, ...]
    taken: str = ""


class LookHistory(LookData):
    """The content of `looks.json`.

    Attributes:
        version: version of the file.
        trial_ids: the trial of the first seed of each cell, by which a changed grid is recognised.
        rule: what was declared.
        looks: the looks so far, at least one.
    """

    version: int
    trial_ids: tuple[str, ...]
    rule: LookRule
    looks: tuple[Look, ...]

    @property
    def last_look(self) -> Look:
        """The newest look."""
        return self.looks[-1]

    @property
    def is_over(self) -> bool:
        """Whether no further seed is trained: all is decided, or the last look was taken."""
        return self.last_look.num_seeds >= self.rule.last or not any(
            item.is_open for item in self.last_look.contrasts
        )

    def latest(self) -> dict[ContrastKey, tuple[int, ContrastAtLook]]:
        """Return how each contrast of the rule stands, with the seeds at its latest look."""
        found = {item.key: (look.num_seeds, item) for look in self.looks for item in look.contrasts}
        return {item.key: found[item.key] for item in self.rule.contrasts}

    def cells_needed_after(self, num_seeds: int) -> frozenset[Cell]:
        """Return the cells that need one more seed after the look at `num_seeds`; none without it.

        These are the cells behind its open contrasts: those of the norm and of the reference.
        """
        declared = {item.key: item for item in self.rule.contrasts}
        return frozenset(
            (item.variant, norm, size)
            for look in self.looks
            if look.num_seeds == num_seeds and num_seeds < self.rule.last
            for item in look.contrasts
            if item.is_open
            for norm in (item.norm, self.rule.reference)
            for size in declared[item.key].needed_batch_sizes
        )


def load_looks(folder: SweepFolder) -> LookHistory | None:
    """Return the looks at a sweep; None before the first one.

    Raises:
        RecordDamagedError: the file cannot be read, or a newer version of the program wrote it.
    """
    try:
        content = folder.storage.read(LOOKS)
    except FileNotFoundError:
        return None
    place = f"{folder.storage.uri}/{LOOKS}"
    try:
        history = LookHistory.model_validate_json(content)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"])) or "the file"
        raise RecordDamagedError(f"{place}: {where}: {first['msg']}; put back a copy") from None
    if history.version > LOOKS_VERSION:
        raise RecordDamagedError(f"{place}: has version {history.version}; update the program")
    if not history.looks:
        raise RecordDamagedError(f"{place}: holds no look; put back a copy")
    return history


def save_looks(folder: SweepFolder, history: LookHistory) -> None:
    """Write the looks in one step."""
    folder.storage.write(LOOKS, history.model_dump_json(indent=1).encode() + b"\n")
