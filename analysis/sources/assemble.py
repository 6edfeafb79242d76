"""From what a source holds to the frames: the one way, so that every source gives the same."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from analysis.errors import InputError
from analysis.schema import (
    EPOCH_COLUMNS,
    EXPECTED_COLUMNS,
    METRICS,
    ON_REQUEST,
    TRIAL_COLUMNS,
    Edition,
    LeftOut,
    Trials,
    recorded,
    tidy,
    validate,
)

SMALL = "small edition: "
"""How the text that a small preset writes begins."""

METRIC_NAMES = tuple(column.name for column in (*METRICS, *ON_REQUEST))
NOT_SETTINGS = ("norm", "norm.", "batch_size", "seed")
Bits = npt.NDArray[np.uint8]
_SORT = ["variant", "norm", "batch_size", "seed", "trial_id"]


@dataclass
class Found:
    """What a source holds, before it is put in order.

    `rows` are trials without their curves, `curves` one row per trial and epoch with the columns
    `trial_id`, `epoch` and the metrics, `settings` each trial's settings as text, `correct` which
    test examples were right, packed as in `Trials`. `expected` is empty where no grid says which
    trials there should be. `made_by_sweep`, `left_out` and `warnings` are as in `Trials`.
    `run_with` holds by sweep what it says of the grid file that it was last run with.
    """

    name: str
    rows: list[dict[str, Any]]
    curves: pd.DataFrame
    expected: list[dict[str, Any]] = field(default_factory=list)
    settings: dict[str, dict[str, str]] = field(default_factory=dict)
    reference: str | None = None
    made_by_sweep: bool = True
    left_out: list[LeftOut] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    packages: dict[str, set[str]] = field(default_factory=dict)
    correct: dict[str, Bits] = field(default_factory=dict)
    run_with: dict[str, Any] = field(default_factory=dict)

    def add_packages(self, versions: Mapping[str, str]) -> None:
        """Note the versions that a trial was trained with, beside those of the others."""
        for name, version in versions.items():
            self.packages.setdefault(name, set()).add(version)


def assemble(found: Found, where: Mapping[str, str] | None = None) -> Trials:
    """The validated frames of `found`, each in an order that does not depend on the source.

    `where` keeps only trials whose settings have these values (`{"train.epochs": "10"}`), or of
    one sweep (`{"sweep": "mine"}`).
    """
    trials = pd.DataFrame.from_records(found.rows)
    if len(found.curves):
        trials = trials.merge(_last_epoch(found.curves), on="trial_id", how="left")
    trials = tidy(trials, (*TRIAL_COLUMNS, *ON_REQUEST)).sort_values(_SORT, ignore_index=True)
    settings = _settings(found, list(trials["trial_id"]))
    if found.made_by_sweep:
        trials = _one_edition(trials, settings)
    if where:
        kept = _matching(settings.assign(sweep=trials["sweep"].to_numpy()), where)
        trials, settings = trials[kept].reset_index(drop=True), settings[kept]
    asked = _asked(trials, found.expected)
    strangers = int((~asked).sum())
    trials, settings = trials[asked].reset_index(drop=True), settings[asked]
    validate(trials, settings, made_by_sweep=found.made_by_sweep)
    labels = trials[["trial_id", "norm", "variant", "batch_size", "seed"]]
    epochs = tidy(found.curves.merge(labels, on="trial_id"), (*EPOCH_COLUMNS, *ON_REQUEST))
    expected = pd.DataFrame.from_records(found.expected or found.rows)
    return Trials(
        name=found.name,
        trials=recorded(trials),
        epochs=recorded(epochs).sort_values([*_SORT, "epoch"], ignore_index=True),
        expected=_in_order(tidy(expected, EXPECTED_COLUMNS).drop_duplicates()),
        settings=settings,
        asked=bool(found.expected),
        made_by_sweep=found.made_by_sweep,
        left_out=tuple(found.left_out),
        warnings=tuple(found.warnings),
        reference=found.reference,
        notes=(*found.notes, *([strangers_note(strangers)] if strangers else [])),
        packages={name: " and ".join(sorted(v)) for name, v in sorted(found.packages.items())},
        correct={key: found.correct[key] for key in trials["trial_id"] if key in found.correct},
        editions=_editions(found, set(trials["edition"]) - {""}),
    )


def _one_edition(trials: pd.DataFrame, settings: pd.DataFrame) -> pd.DataFrame:
    """Trials of one sweep on the same part of the data are of one edition, the newest's.

    A record says what its grid replaced when it was trained; the grid may have grown since.
    """
    if settings.columns.empty:
        return trials
    limits = ("data.num_train", "data.num_test")
    keys = [trials["sweep"], trials["dataset"]]
    keys += [settings[name].reset_index(drop=True) for name in limits if name in settings]
    limited = trials[trials["edition"] != ""].sort_values("started", kind="stable")
    newest = limited.groupby(keys)["edition"].transform("last")
    return trials.assign(edition=newest.reindex(trials.index).fillna(""))


def left_out_of(sweep: str, items: Any) -> list[LeftOut]:
    """What `sweep` leaves out of its grid, as its `sweep.json` or its experiment's tag has it."""
    return [
        LeftOut(sweep, i["norm"], i["variant"], tuple(i["batch_sizes"]), i["why"]) for i in items
    ]


def strangers_note(num: int) -> str:
    """What the report says of trials that are there although no grid asks for them any more."""
    return f"{num} trials are left out: their sweep's grid no longer asks for them."


def _asked(trials: pd.DataFrame, expected: list[dict[str, Any]]) -> npt.NDArray[np.bool_]:
    """Which trials their sweep asks for: all of them where it does not say."""
    names = [column.name for column in EXPECTED_COLUMNS]
    asked = {tuple(row[name] for name in names) for row in expected}
    sweeps = {row["sweep"] for row in expected}
    rows = zip(*(trials[name] for name in names), strict=True)
    known = [row[names.index("sweep")] not in sweeps or row in asked for row in rows]
    return np.array(known, dtype=bool)


def _settings(found: Found, ids: list[str]) -> pd.DataFrame:
    """One row per trial and one column per setting, text; empty where a trial lacks one."""
    frame = pd.DataFrame.from_dict(found.settings, orient="index", dtype=str)
    frame = frame.reindex(index=ids, columns=sorted(frame.columns)).fillna("")
    return frame.rename_axis("trial_id")


def _matching(settings: pd.DataFrame, where: Mapping[str, str]) -> npt.NDArray[np.bool_]:
    """Which trials have the settings `where`; raises `InputError` for one that nobody has."""
    kept = np.ones(len(settings), dtype=bool)
    for name, value in where.items():
        if name not in settings:
            raise InputError(f"no setting {name!r}; there are {', '.join(settings.columns)}")
        kept &= (settings[name] == value).to_numpy(bool)
        if not kept.any():
            values = ", ".join(sorted(set(settings[name])))
            raise InputError(f"no trial with {name}={value}; its values are {values}")
    return kept


def _in_order(expected: pd.DataFrame) -> pd.DataFrame:
    """Norms as first listed, batch sizes from large to small, then seeds."""
    places = {norm: place for place, norm in enumerate(dict.fromkeys(expected["norm"]))}
    ranks = {"norm": expected["norm"].map(places), "batch_size": -expected["batch_size"]}
    order = expected.assign(**ranks).sort_values(["sweep", "variant", "norm", "batch_size", "seed"])
    return expected.loc[order.index].reset_index(drop=True)


def empty_curves() -> pd.DataFrame:
    """Curves of no trial."""
    return pd.DataFrame({"trial_id": pd.Series(dtype=str), "epoch": pd.Series(dtype="int64")})


def _last_epoch(curves: pd.DataFrame) -> pd.DataFrame:
    """Per trial the metrics of its last epoch; `train_s` is summed over its epochs."""
    curves = curves.reindex(columns=["trial_id", "epoch", *METRIC_NAMES])
    last = curves.loc[curves.groupby("trial_id")["epoch"].idxmax()]
    seconds = curves.groupby("trial_id")["train_s"].sum(min_count=1)
    last = last.assign(train_s=last["trial_id"].map(seconds)).rename(
        columns={"epoch": "num_epochs"}
    )
    return last[["trial_id", "num_epochs", *(n for n in METRIC_NAMES if n not in {"lr", "eval_s"})]]


def utc(milliseconds: int | None) -> str:
    """A moment (ms since the epoch) as ISO 8601 to the second in UTC; empty where unknown."""
    if milliseconds is None:
        return ""
    return datetime.fromtimestamp(milliseconds // 1000, UTC).isoformat()


def edition_of(stated: str | None, num_train: str | None, num_test: str | None) -> str:
    """What the trial's record states, else how `data.num_train` and `data.num_test` limit the data.

    Older records state no more than `small`.
    """
    if stated and stated != "small":
        return f"({stated})"
    limits = [
        f"{number} {purpose} images"
        for number, purpose in ((num_train, "training"), (num_test, "test"))
        if number not in (None, "", "None", "null")
    ]
    return f"({', '.join(limits)})" if limits else ""


def _editions(found: Found, texts: Iterable[str]) -> dict[str, Edition]:
    presets = {row["edition"]: row["preset"] for row in found.rows if row.get("preset")}
    return {text: read_edition(text, presets.get(text)) for text in texts}


def read_edition(text: str, preset: Mapping[str, Any] | None) -> Edition:
    """Return what a value of the column `edition` means.

    Args:
        text: the value.
        preset: what the trial's record says of the preset as data; None where it says nothing. In
            stores of before there were such data, the beginning of the text tells the preset.
    """
    sentence = text.removeprefix("(").removesuffix(")")
    is_small = preset["preset"] == "small" if preset else sentence.startswith(SMALL)
    return Edition(is_small, sentence.removeprefix(SMALL))


def flat(settings: Mapping[str, Any], prefix: str = "") -> dict[str, str]:
    """Nested settings as dotted names and text, as MLflow's params hold them."""
    result: dict[str, str] = {}
    for key, value in settings.items():
        if isinstance(value, Mapping):
            result |= flat(value, f"{prefix}{key}.")
        else:
            result[f"{prefix}{key}"] = json.dumps(value) if isinstance(value, list) else str(value)
    return result


def settings_of(params: Mapping[str, str]) -> dict[str, str]:
    """The settings that make up the protocol: all but the factors norm, batch size and seed."""
    return {
        key: text
        for key, text in params.items()
        if key not in NOT_SETTINGS and not key.startswith("norm.") and text not in ("None", "")
    }
