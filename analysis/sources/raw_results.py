"""Content of a source before and after it becomes data frames: the same steps for every source."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from analysis.errors import AnalysisError
from analysis.schema import (
    EPOCH_COLUMNS,
    EXPECTED_COLUMNS,
    METRIC_COLUMNS,
    PER_SEED,
    REQUESTED_COLUMNS,
    TRIAL_COLUMNS,
    PresetInfo,
    Results,
    UntrainedCells,
    conform_frame,
    drop_unrecorded,
    validate_trials,
)

METRIC_NAMES = tuple(column.name for column in (*METRIC_COLUMNS, *REQUESTED_COLUMNS))
FACTOR_PARAMS = ("norm", "norm.", "batch_size", "seed")
SMALL_PRESET_PREFIX = "small edition: "
"""Start of the text that a small preset writes."""
PackedBits = npt.NDArray[np.uint8]
_SORT = ["variant", "norm", "batch_size", "seed", "trial_id"]


@dataclass
class RawResults:
    """Content of a source, as its reader found it.

    The other attributes are as in `Results`.

    Attributes:
        name: name of the experiment, sweep or file.
        rows: one mapping per trial, without its curves.
        curves: one row per trial and epoch, with `trial_id`, `epoch` and the metrics.
        expected: trials that a grid asks for; empty where there is no grid.
        settings: settings of each trial as text, by trial id.
        correct: which test examples were right, packed, by trial id.
        grid_states: by sweep what is stored about the grid file of its last run.
        packages: versions of each package over all trials.
    """

    name: str
    rows: list[dict[str, Any]]
    curves: pd.DataFrame
    expected: list[dict[str, Any]] = field(default_factory=list)
    settings: dict[str, dict[str, str]] = field(default_factory=dict)
    norm_options: dict[str, str] = field(default_factory=dict)
    reference: str | None = None
    made_by_sweep: bool = True
    untrained: list[UntrainedCells] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    packages: dict[str, set[str]] = field(default_factory=dict)
    correct: dict[str, PackedBits] = field(default_factory=dict)
    grid_states: dict[str, Any] = field(default_factory=dict)
    looks: dict[str, Any] = field(default_factory=dict)

    def add_packages(self, versions: Mapping[str, str]) -> None:
        """Add the package versions of one trial."""
        for name, version in versions.items():
            self.packages.setdefault(name, set()).add(version)


def build_results(raw: RawResults, settings_filter: Mapping[str, str] | None = None) -> Results:
    """Return the validated data frames of `raw`, in an order that does not depend on the source.

    Args:
        raw: content of a source.
        settings_filter: value that a setting must have, by setting (`{"train.epochs": "10"}`), or
            the name of a sweep (`{"sweep": "mine"}`); None keeps every trial.

    Raises:
        AnalysisError: no trial matches the filter, or a trial has a value that cannot be used.
    """
    trials = pd.DataFrame.from_records(raw.rows)
    if len(raw.curves):
        trials = trials.merge(_summarize_last_epoch(raw.curves), on="trial_id", how="left")
    trials = conform_frame(trials, (*TRIAL_COLUMNS, *REQUESTED_COLUMNS)).sort_values(
        _SORT, ignore_index=True
    )
    settings = _tabulate_settings(raw, list(trials["trial_id"]))
    trials = _fill_seeding(trials, settings)
    if raw.made_by_sweep:
        trials = _unify_presets(trials, settings)
    if settings_filter:
        kept = _match_settings(settings.assign(sweep=trials["sweep"].to_numpy()), settings_filter)
        trials, settings = trials[kept].reset_index(drop=True), settings[kept]
    asked = _mark_expected(trials, raw.expected)
    strangers = int((~asked).sum())
    trials, settings = trials[asked].reset_index(drop=True), settings[asked]
    validate_trials(trials, settings, made_by_sweep=raw.made_by_sweep)
    labels = trials[["trial_id", "norm", "variant", "batch_size", "seed"]]
    epochs = conform_frame(
        raw.curves.merge(labels, on="trial_id"), (*EPOCH_COLUMNS, *REQUESTED_COLUMNS)
    )
    expected = pd.DataFrame.from_records(raw.expected or raw.rows)
    return Results(
        name=raw.name,
        trials=drop_unrecorded(trials),
        epochs=drop_unrecorded(epochs).sort_values([*_SORT, "epoch"], ignore_index=True),
        expected=_order_expected(conform_frame(expected, EXPECTED_COLUMNS).drop_duplicates()),
        settings=settings,
        norm_options={
            key: raw.norm_options[key] for key in trials["trial_id"] if key in raw.norm_options
        },
        has_grid=bool(raw.expected),
        made_by_sweep=raw.made_by_sweep,
        untrained=tuple(raw.untrained),
        warnings=tuple(raw.warnings),
        reference=raw.reference,
        notes=(*raw.notes, *([format_unexpected_note(strangers)] if strangers else [])),
        packages={name: " and ".join(sorted(v)) for name, v in sorted(raw.packages.items())},
        correct={key: raw.correct[key] for key in trials["trial_id"] if key in raw.correct},
        looks=raw.looks,
        presets=_explain_presets(raw, set(trials["edition"]) - {""}),
    )


def _fill_seeding(trials: pd.DataFrame, settings: pd.DataFrame) -> pd.DataFrame:
    """Return `trials` with `seeding` from the trials' settings where it is empty, else per_seed.

    Trials of older versions have no such setting: their streams depend on the seed alone.
    """
    stated = trials["seeding"]
    if "seeding" in settings:
        stated = stated.where(stated != "", settings["seeding"].to_numpy())
    return trials.assign(seeding=stated.where(stated != "", PER_SEED))


def _unify_presets(trials: pd.DataFrame, settings: pd.DataFrame) -> pd.DataFrame:
    """Return `trials` with one preset text, the newest, for all trials of a sweep on the same data.

    A record holds what its grid replaced when it was trained; the grid may have grown since.
    """
    if settings.columns.empty:
        return trials
    limits = ("data.num_train", "data.num_test")
    keys = [trials["sweep"], trials["dataset"]]
    keys += [settings[name].reset_index(drop=True) for name in limits if name in settings]
    limited = trials[trials["edition"] != ""].sort_values("started", kind="stable")
    newest = limited.groupby(keys)["edition"].transform("last")
    return trials.assign(edition=newest.reindex(trials.index).fillna(""))


def parse_untrained(sweep: str, items: Any) -> list[UntrainedCells]:
    """Return the untrained cells of `sweep`, parsed from `sweep.json` or from a tag of its
    experiment.
    """
    return [
        UntrainedCells(sweep, i["norm"], i["variant"], tuple(i["batch_sizes"]), i["why"])
        for i in items
    ]


def format_unexpected_note(num: int) -> str:
    """Return the note on `num` trials that are stored but no longer in their sweep's grid."""
    return f"{num} trials are left out: their sweep's grid no longer asks for them."


def _mark_expected(trials: pd.DataFrame, expected: list[dict[str, Any]]) -> npt.NDArray[np.bool_]:
    """Return for each trial whether its sweep's grid asks for it; true without a grid."""
    names = [column.name for column in EXPECTED_COLUMNS]
    asked = {tuple(row[name] for name in names) for row in expected}
    sweeps = {row["sweep"] for row in expected}
    rows = zip(*(trials[name] for name in names), strict=True)
    known = [row[names.index("sweep")] not in sweeps or row in asked for row in rows]
    return np.array(known, dtype=bool)


def _tabulate_settings(raw: RawResults, ids: list[str]) -> pd.DataFrame:
    """Return settings as text, one row per trial id and one column per setting; empty if absent."""
    frame = pd.DataFrame.from_dict(raw.settings, orient="index", dtype=str)
    frame = frame.reindex(index=ids, columns=sorted(frame.columns)).fillna("")
    return frame.rename_axis("trial_id")


def _match_settings(
    settings: pd.DataFrame, settings_filter: Mapping[str, str]
) -> npt.NDArray[np.bool_]:
    """Return for each trial whether it matches the filter; raise for an unknown value."""
    kept = np.ones(len(settings), dtype=bool)
    for name, value in settings_filter.items():
        if name not in settings:
            raise AnalysisError(f"no setting {name!r}; there are {', '.join(settings.columns)}")
        kept &= (settings[name] == value).to_numpy(bool)
        if not kept.any():
            values = ", ".join(sorted(set(settings[name])))
            raise AnalysisError(f"no trial with {name}={value}; its values are {values}")
    return kept


def _order_expected(expected: pd.DataFrame) -> pd.DataFrame:
    """Return `expected` with norms as first listed, batch sizes from large to small, then seeds."""
    places = {norm: place for place, norm in enumerate(dict.fromkeys(expected["norm"]))}
    ranks = {"norm": expected["norm"].map(places), "batch_size": -expected["batch_size"]}
    order = expected.assign(**ranks).sort_values(["sweep", "variant", "norm", "batch_size", "seed"])
    return expected.loc[order.index].reset_index(drop=True)


def make_empty_curves() -> pd.DataFrame:
    """Return a frame of curves without rows."""
    return pd.DataFrame({"trial_id": pd.Series(dtype=str), "epoch": pd.Series(dtype="int64")})


def _summarize_last_epoch(curves: pd.DataFrame) -> pd.DataFrame:
    """Return per trial the metrics of its last epoch; `train_s` is summed over epochs."""
    curves = curves.reindex(columns=["trial_id", "epoch", *METRIC_NAMES])
    last = curves.loc[curves.groupby("trial_id")["epoch"].idxmax()]
    seconds = curves.groupby("trial_id")["train_s"].sum(min_count=1)
    last = last.assign(train_s=last["trial_id"].map(seconds)).rename(
        columns={"epoch": "num_epochs"}
    )
    return last[["trial_id", "num_epochs", *(n for n in METRIC_NAMES if n not in {"lr", "eval_s"})]]


def format_utc(milliseconds: int | None) -> str:
    """Return a time (ms since 1970) as ISO 8601 to the second in UTC; empty if None."""
    if milliseconds is None:
        return ""
    return datetime.fromtimestamp(milliseconds // 1000, UTC).isoformat()


def describe_data_limits(
    preset_text: str | None, num_train: str | None, num_test: str | None
) -> str:
    """Return, in parentheses, the preset text of a trial's record, else how its data were limited.

    Empty for the whole data set. Records of older versions state `small` and no more.
    """
    if preset_text and preset_text != "small":
        return f"({preset_text})"
    limits = [
        f"{number} {purpose} images"
        for number, purpose in ((num_train, "training"), (num_test, "test"))
        if number not in (None, "", "None", "null")
    ]
    return f"({', '.join(limits)})" if limits else ""


def _explain_presets(raw: RawResults, texts: Iterable[str]) -> dict[str, PresetInfo]:
    """Return an explanation of each text of the column `edition`."""
    presets = {row["edition"]: row["preset"] for row in raw.rows if row.get("preset")}
    return {text: explain_preset(text, presets.get(text)) for text in texts}


def explain_preset(text: str, preset: Mapping[str, Any] | None) -> PresetInfo:
    """Return what a value of the column `edition` means.

    Args:
        text: the value.
        preset: the preset as the trial's record holds it; None for older records, which hold none:
            there the start of `text` tells the preset.
    """
    sentence = text.removeprefix("(").removesuffix(")")
    is_small = preset["preset"] == "small" if preset else sentence.startswith(SMALL_PRESET_PREFIX)
    return PresetInfo(is_small, sentence.removeprefix(SMALL_PRESET_PREFIX))


def flatten_settings(settings: Mapping[str, Any], prefix: str = "") -> dict[str, str]:
    """Return nested settings as text by dotted name, as MLflow stores them as params."""
    result: dict[str, str] = {}
    for key, value in settings.items():
        if isinstance(value, Mapping):
            result |= flatten_settings(value, f"{prefix}{key}.")
        else:
            result[f"{prefix}{key}"] = json.dumps(value) if isinstance(value, list) else str(value)
    return result


def select_settings(params: Mapping[str, str]) -> dict[str, str]:
    """Return the params that belong to the protocol: all but norm, batch size and seed."""
    return {
        key: text
        for key, text in params.items()
        if key not in FACTOR_PARAMS and not key.startswith("norm.") and text not in ("None", "")
    }


def format_norm_options(params: Mapping[str, str]) -> str:
    """Return the norm in a trial's params with its options, the same text for the same layer.

    >>> format_norm_options({"norm.name": "groupnorm", "norm.options.num_groups": "8", "seed": "0"})
    'groupnorm num_groups=8'
    >>> format_norm_options({"norm": "groupnorm", "norm.num_groups": "8"})
    'groupnorm num_groups=8'
    """
    options = {
        key.removeprefix("norm.").removeprefix("options."): text
        for key, text in params.items()
        if key.startswith("norm.") and key != "norm.name" and text not in ("None", "")
    }
    name = params.get("norm") or params.get("norm.name", "")
    return " ".join([name, *(f"{key}={text}" for key, text in sorted(options.items()))])
