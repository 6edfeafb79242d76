"""The data frames that every measure reads: their columns, units and checks.

Three frames belong together and are held by `Results`:

- `trials`, one row per trial, the columns of `TRIAL_COLUMNS`;
- `epochs`, one row per trial and finished epoch, the columns of `EPOCH_COLUMNS`;
- `expected`, one row per trial that the sweep asked for, the columns of `EXPECTED_COLUMNS`;
  for a source without a grid (a CSV), the trials that it holds.

`trials` and `epochs` have further those columns of `REQUESTED_COLUMNS` that some trial has
recorded.

`test_error` is the error after the last finished epoch, also of a trial that still runs or that
diverged. `score_trials` adds `error`, the number that measures compare: it is missing unless
the trial ended, and chance error if it diverged.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import pandas as pd

from analysis.errors import AnalysisError

Kind = Literal["text", "int", "float"]
OUTCOMES = ("completed", "diverged", "out_of_memory", "failed", "running")
LOWEST_INT, LARGEST_INT = -(2**63), 2**63 - 1
"""The bounds of a column of whole numbers."""
STRATUM_COLUMNS = ["dataset", "edition", "model", "seeding", "variant"]
PER_SEED, PER_CELL = "per_seed", "per_cell"
SEEDINGS = (PER_SEED, PER_CELL)
"""What a trial's random streams depend on: its seed alone, or its seed and its batch size."""


@dataclass(frozen=True)
class Column:
    """A column of a frame: its kind, its unit, its meaning, and whether a CSV must have it."""

    name: str
    kind: Kind
    unit: str
    meaning: str
    required: bool = False


TRIAL_COLUMNS = (
    Column("norm", "text", "", "label of the norm, with its options where they vary", True),
    Column("variant", "text", "", "level of every further factor; empty where there is none"),
    Column("batch_size", "int", "examples", "examples that share normalization statistics", True),
    Column("seed", "int", "", "replicate; trials of the same seed are paired", True),
    Column("outcome", "text", "", "one of " + ", ".join(OUTCOMES)),
    Column("test_error", "float", "percent", "test error after the last finished epoch", True),
    Column("best_test_error", "float", "percent", "lowest test error of any epoch"),
    Column("train_error", "float", "percent", "mean training error over the last epoch"),
    Column("test_loss", "float", "nats", "test loss after the last finished epoch"),
    Column("train_loss", "float", "nats", "mean training loss over the last epoch"),
    Column("chance_error", "float", "percent", "error of guessing; a diverged trial's score"),
    Column("num_epochs", "int", "epochs", "finished epochs"),
    Column("num_updates", "int", "updates", "optimizer steps taken"),
    Column("train_s", "float", "seconds", "time spent training, all epochs"),
    Column("trial_id", "text", "", "identity of the trial"),
    Column("sweep", "text", "", "sweep the trial belongs to"),
    Column(
        "seeding",
        "text",
        "",
        "per_cell where random streams depend on (seed, batch size), else per_seed",
    ),
    Column("driver", "text", "", "identities of the runs of the program that trained it"),
    Column("spec_version", "text", "", "version of what a trial's settings mean"),
    Column("code_version", "text", "", "version of the code that trained it"),
    Column("dataset", "text", "", "name of the data set"),
    Column(
        "edition",
        "text",
        "",
        "what a small edition replaced, or how data were limited",
    ),
    Column("model", "text", "", "name of the network"),
    Column("num_test", "int", "examples", "size of the test set"),
    Column("source_digest", "text", "", "digest of the user's own modules that it ran"),
    Column("weights_digest", "text", "", "equal where the final weights are equal to the bit"),
    Column("device", "text", "", "device it was trained on"),
    Column("host", "text", "", "machine it was trained on"),
    Column("started", "text", "ISO 8601, UTC", "when training began"),
    Column("ended", "text", "ISO 8601, UTC", "when it ended; empty while it runs"),
)
METRIC_COLUMNS = (
    Column("train_loss", "float", "nats", "mean training loss over the epoch"),
    Column("train_error", "float", "percent", "mean training error over the epoch"),
    Column("test_loss", "float", "nats", "test loss after the epoch"),
    Column("test_error", "float", "percent", "test error after the epoch"),
    Column("best_test_error", "float", "percent", "lowest test error so far"),
    Column("lr", "float", "", "learning rate of the epoch"),
    Column("num_updates", "float", "updates", "optimizer steps since the trial began"),
    Column("train_s", "float", "seconds", "time the epoch spent training"),
    Column("eval_s", "float", "seconds", "time the epoch spent evaluating"),
)
STATISTICS_KINDS = ("ema", "precise", "batch")
"""Kinds of test statistics: moving averages, recomputed over large training batches, and those
of the test batch."""
REQUESTED_COLUMNS = (
    Column("test_error_ema", "float", "percent", "test error with moving averages"),
    Column("test_error_precise", "float", "percent", "test error with recomputed statistics"),
    Column("test_error_batch", "float", "percent", "test error with the test batch's statistics"),
    Column("test_top5_error", "float", "percent", "examples whose class is not among the top five"),
    Column("activation_mean", "float", "", "mean output of the watched layer over the epoch"),
    Column("activation_variance", "float", "", "variance of its outputs over the epoch"),
    Column("gradient_norm", "float", "", "L2 norm of the gradient, mean over the epoch's updates"),
    Column("clipped_fraction", "float", "fraction", "channels whose r or d was clipped, training"),
    Column("test_clipped_fraction", "float", "fraction", "the same in the test after the epoch"),
)
EPOCH_COLUMNS = (
    Column("trial_id", "text", "", "identity of the trial"),
    *(c for c in TRIAL_COLUMNS if c.name in {"norm", "variant", "batch_size", "seed"}),
    Column("epoch", "int", "", "counts from 1"),
    *METRIC_COLUMNS,
)
EXPECTED_COLUMNS = tuple(
    c for c in TRIAL_COLUMNS if c.name in {"sweep", "norm", "variant", "batch_size", "seed"}
)


@dataclass(frozen=True)
class UntrainedCells:
    """A norm at batch sizes that the grid's factors make but nobody trains, with the reason."""

    sweep: str
    norm: str
    variant: str
    batch_sizes: tuple[int, ...]
    reason: str


@dataclass(frozen=True)
class PresetInfo:
    """What differs in some trials from the full sweep on all of the data.

    Attributes:
        is_small: true for the small preset of a grid, false for a limit that the grid itself sets
            to the data.
        detail: what was replaced or limited, in words.
    """

    is_small: bool
    detail: str


@dataclass(frozen=True)
class Results:
    """The trials of one source, as data frames, with what is known about them.

    Attributes:
        name: name of the experiment, sweep or file.
        trials: one row per trial, the columns of `TRIAL_COLUMNS`.
        epochs: one row per trial and finished epoch, the columns of `EPOCH_COLUMNS`.
        expected: one row per trial that the grid asks for, the columns of `EXPECTED_COLUMNS`.
        settings: one row per trial and one column per setting (`train.epochs`, ...), as text,
            indexed by `trial_id`.
        has_grid: whether a grid says which trials are expected.
        made_by_sweep: false for a table of other origin, where a seed need not give every norm the
            same start.
        untrained: cells that the grid crosses but does not train.
        reference: norm that the sweep declares as the reference, if it does.
        warnings: lines for the report and the terminal.
        notes: lines for the report on rows or columns that were not used.
        packages: version of each package that trials were trained with.
        norm_options: by `trial_id` the norm with its options, as text, where the source states
            them.
        correct: by `trial_id` which test examples were right after the last epoch, shape
            `(ceil(num_test / 8),)`, as `numpy.packbits` packs them, for trials that stored it.
        presets: explanation of each value of the column `edition` of `trials`.
        looks: by sweep the content of its `looks.json`, if its seeds were trained until its
            contrasts were decided.
    """

    name: str
    trials: pd.DataFrame
    epochs: pd.DataFrame
    expected: pd.DataFrame
    settings: pd.DataFrame
    has_grid: bool = True
    made_by_sweep: bool = True
    untrained: tuple[UntrainedCells, ...] = ()
    reference: str | None = None
    warnings: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    packages: Mapping[str, str] = field(default_factory=dict)
    norm_options: Mapping[str, str] = field(default_factory=dict)
    correct: Mapping[str, npt.NDArray[np.uint8]] = field(default_factory=dict)
    presets: Mapping[str, PresetInfo] = field(default_factory=dict)
    looks: Mapping[str, Any] = field(default_factory=dict)


def conform_frame(
    rows: pd.DataFrame | Sequence[Mapping[str, Any]], columns: Sequence[Column]
) -> pd.DataFrame:
    """Return `rows` with exactly the given columns, in their order and with their types.

    Missing text becomes the empty string; whole numbers are nullable (`Int64`).
    """
    raw = rows if isinstance(rows, pd.DataFrame) else pd.DataFrame.from_records(list(rows))
    frame = raw.reindex(columns=[column.name for column in columns])
    return frame.assign(**{c.name: _convert_column(frame[c.name], c) for c in columns})


def drop_unrecorded(frame: pd.DataFrame) -> pd.DataFrame:
    """Return `frame` without the columns of `REQUESTED_COLUMNS` that hold no value."""
    names = {column.name for column in REQUESTED_COLUMNS}
    return frame.drop(columns=[n for n in frame if n in names and frame[n].isna().all()])


def _convert_column(values: pd.Series[Any], column: Column) -> pd.Series[Any]:
    """Return `values` converted to the kind of `column`; raise for a wrong value."""
    if column.kind == "text":
        return values.astype(object).where(values.notna(), "").astype(str)
    try:
        numbers = pd.to_numeric(values, errors="coerce")
    except OverflowError:
        raise AnalysisError(f"column `{column.name}` holds a number beyond all bounds") from None
    bad = values[numbers.isna() & values.notna()]
    if len(bad):
        raise AnalysisError(
            f"column `{column.name}` must hold numbers, but row {bad.index[0] + 1} has "
            f"{bad.iloc[0]!r}"
        )
    if column.kind == "float":
        return numbers.astype(float)
    fractional = numbers[numbers.notna() & (numbers % 1 != 0)]
    if len(fractional):
        raise AnalysisError(
            f"column `{column.name}` must hold whole numbers, but row {fractional.index[0] + 1} "
            f"has {fractional.iloc[0]:g}"
        )
    for place in numbers.index[numbers.astype(float).abs() >= float(LARGEST_INT)]:
        if not LOWEST_INT <= _parse_whole_number(values[place]) <= LARGEST_INT:
            raise AnalysisError(
                f"column `{column.name}` must hold whole numbers from {LOWEST_INT} to "
                f"{LARGEST_INT}, but row {place + 1} has {values[place]}"
            )
    return numbers.astype("Int64")


def _parse_whole_number(number: Any) -> int:
    """Return a whole number; a float would lose digits near the bounds."""
    try:
        return int(number)
    except ValueError:  # "1e20"
        return int(float(number))


def validate_trials(
    trials: pd.DataFrame, settings: pd.DataFrame, *, made_by_sweep: bool = True
) -> None:
    """Raise `AnalysisError`, one line, for trials that no measure can read.

    `settings` and `made_by_sweep` are as in `Results`; the message on repeated trials uses them.
    """
    _raise_for_rows(trials, trials["norm"] == "", "`norm` must not be empty")
    for name in ("batch_size", "seed"):
        _raise_for_rows(trials, trials[name].isna(), f"`{name}` must not be empty")
    _raise_for_rows(trials, trials["batch_size"] < 1, "`batch_size >= 1` must hold")
    _raise_for_rows(
        trials,
        ~trials["seeding"].isin(SEEDINGS),
        "`seeding` must be one of " + ", ".join(SEEDINGS),
    )
    unknown = ~trials["outcome"].isin(OUTCOMES)
    _raise_for_rows(trials, unknown, "`outcome` must be one of " + ", ".join(OUTCOMES))
    percents = [column.name for column in REQUESTED_COLUMNS if column.unit == "percent"]
    for name in ("test_error", "best_test_error", "train_error", "chance_error", *percents):
        outside = ~(trials[name].isna() | trials[name].between(0, 100))
        _raise_for_rows(trials, outside, f"`0 <= {name} <= 100` must hold (percent)")
    completed = trials["outcome"] == "completed"
    _raise_for_rows(
        trials, completed & trials["test_error"].isna(), "a completed trial needs `test_error`"
    )
    diverged = trials["outcome"] == "diverged"
    _raise_for_rows(
        trials,
        diverged & trials["chance_error"].isna(),
        "a diverged trial needs `chance_error`, the error of guessing, which it is scored at",
    )
    _raise_for_repeats(trials, settings, made_by_sweep=made_by_sweep)


def _raise_for_rows(trials: pd.DataFrame, bad: pd.Series[Any], rule: str) -> None:
    """Raise `AnalysisError` with `rule` and the first row where `bad` is true, if there is one."""
    wrong = trials[bad.fillna(False).to_numpy(bool)]
    if len(wrong):
        row = wrong.iloc[0]
        more = f" (and {len(wrong) - 1} more rows)" if len(wrong) > 1 else ""
        raise AnalysisError(
            f"{rule}, but not for norm={row['norm']!r}, batch_size={row['batch_size']}, "
            f"seed={row['seed']}, outcome={row['outcome']!r}, test_error={row['test_error']}{more}"
        )


def _raise_for_repeats(
    trials: pd.DataFrame, settings: pd.DataFrame, *, made_by_sweep: bool
) -> None:
    """Raise `AnalysisError` where a norm, batch size and seed of one stratum occur twice."""
    key = ["norm", "batch_size", "seed", *STRATUM_COLUMNS]
    repeated = trials[trials.duplicated(key, keep=False)]
    if len(repeated):
        row = repeated.iloc[0]
        same = repeated[(repeated[key] == row[key]).all(axis=1)]
        values = settings.reindex(same["trial_id"]).fillna("")
        values = values.assign(sweep=same["sweep"].to_numpy())
        differing = [str(name) for name in values if values[name].nunique() > 1]
        remedy = "keep one of them"
        if differing:
            name = differing[0]
            remedy = f"they differ in {', '.join(differing)}; choose with --where {name}="
            levels = sorted(set(values[name]), reverse=True)
            remedy += f"{levels[0]} (or {', '.join(levels[1:])})"
            if not made_by_sweep:
                remedy += f", or call the column {name} `variant` to have every level reported"
        raise AnalysisError(
            f"every norm, batch size and seed must occur once, but {row['norm']} at batch size "
            f"{row['batch_size']} with seed {row['seed']} occurs {len(same)} times (trials "
            f"{', '.join(same['trial_id'])}): {remedy}"
        )


def score_trials(trials: pd.DataFrame) -> pd.DataFrame:
    """Return the trials that ended, with the columns `error` (percent) and `diverged`.

    `error` is the test error, or chance error where the trial diverged.
    """
    ended = trials[trials["outcome"].isin(["completed", "diverged"])]
    error = np.where(ended["outcome"] == "diverged", ended["chance_error"], ended["test_error"])
    return ended.assign(error=error, diverged=ended["outcome"] == "diverged")


def order_norms(results: Results) -> list[str]:
    """Return the labels of all norms, the reference first, then in the order of the source."""
    names = list(dict.fromkeys([*results.expected["norm"], *results.trials["norm"]]))
    return sorted(names, key=lambda name: name != results.reference)
