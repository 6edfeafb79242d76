"""Reader of a sweep's folder: `sweep.json` and one `trials/<trial_id>/record.json` per trial."""

from __future__ import annotations

import json
from datetime import datetime
from pathlib import Path
from typing import Any

import pandas as pd

from analysis.errors import AnalysisError
from analysis.sources.correct_examples import read_correct_examples
from analysis.sources.raw_results import (
    RawResults,
    describe_data_limits,
    flatten_settings,
    format_norm_options,
    format_unexpected_note,
    format_utc,
    make_empty_curves,
    parse_untrained,
    select_settings,
)
from analysis.sources.source_location import CORRECT_FILE, LOOKS_FILE, SWEEP_FILE

LOOKS_VERSION = 1
RECORD_VERSION = 1
"""Newest record version that this reader understands."""


def read_records(folder: Path) -> RawResults:
    """Return the expected trials of the sweep in `folder` and the content of its records.

    A record that the sweep's grid no longer asks for is left out, with a note.
    """
    sweep = _read_json(folder / SWEEP_FILE)
    try:
        labels = {
            trial["trial_id"]: {
                "sweep": sweep["name"],
                **{key: trial[key] for key in ("norm", "variant", "batch_size", "seed")},
            }
            for trial in sweep["trials"]
        }
        found = RawResults(name=sweep["experiment"], rows=[], curves=make_empty_curves())
        found.reference = sweep.get("reference")
        found.grid_states = {sweep["name"]: sweep.get("grid")}
        found.untrained = parse_untrained(sweep["name"], sweep.get("left_out") or [])
    except (KeyError, TypeError) as error:
        raise AnalysisError(
            f"{folder / SWEEP_FILE} lacks {error}; write it anew with `run`"
        ) from error
    if (folder / LOOKS_FILE).is_file():
        found.looks[sweep["name"]] = _read_looks(folder / LOOKS_FILE)
    found.expected = list(labels.values())
    curves: list[dict[str, Any]] = []
    strangers = 0
    for path in sorted((folder / "trials").glob("*/record.json")):
        if path.parent.name in labels:
            _read_record(found, curves, path, labels[path.parent.name])
            bits = read_correct_examples(path.with_name(CORRECT_FILE))
            if bits is not None:
                found.correct[path.parent.name] = bits
        else:
            strangers += 1
    if strangers:
        found.notes.append(format_unexpected_note(strangers))
    if curves:
        found.curves = pd.DataFrame.from_records(curves)
    return found


def _read_json(path: Path) -> dict[str, Any]:
    """Return the JSON object in a file; raise `AnalysisError` where it holds none."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise AnalysisError(f"{path} cannot be read: {error}") from error
    if not isinstance(content, dict):
        raise AnalysisError(f"{path} must hold a JSON object, but holds a {type(content).__name__}")
    return content


def _read_looks(path: Path) -> dict[str, Any]:
    """Return the content of `looks.json`; raise `AnalysisError` for one of another version."""
    content = _read_json(path)
    if content.get("version") != LOOKS_VERSION or not content.get("looks"):
        raise AnalysisError(
            f"{path} holds no looks of version {LOOKS_VERSION}; put back a copy of it"
        )
    return content


def _read_record(
    raw: RawResults, curves: list[dict[str, Any]], path: Path, label: dict[str, Any]
) -> None:
    """Add one record file to `raw` and `curves`; raise `AnalysisError` for a damaged one."""
    record = _read_json(path)
    version = record.get("record_version", RECORD_VERSION)
    if not isinstance(version, int) or version > RECORD_VERSION:
        raise AnalysisError(
            f"{path} has record_version {version}, but this program knows versions up to "
            f"{RECORD_VERSION}; update the program"
        )
    try:
        _add_record(raw, curves, record, label)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        said = f"lacks {error}" if isinstance(error, KeyError) else f"is not a record: {error}"
        raise AnalysisError(
            f"{path} {said}; put back a copy of it, or delete it to train the trial again"
        ) from error


def _add_record(
    raw: RawResults, curves: list[dict[str, Any]], record: dict[str, Any], label: dict[str, Any]
) -> None:
    """Add one parsed record to `raw` and `curves`."""
    trial_id, spec = record["trial_id"], record["spec"]
    provenance = record.get("provenance") or {}
    raw.rows.append(
        {
            **label,
            "trial_id": trial_id,
            "outcome": record.get("outcome") or "running",
            "chance_error": record.get("chance_error"),
            "num_test": record.get("num_test"),
            "spec_version": record.get("spec_version"),
            "code_version": provenance.get("code_version"),
            "source_digest": (record.get("attempts") or [{}])[-1].get("source"),
            "weights_digest": record.get("weights_digest"),
            "driver": _list_drivers(record.get("attempts") or []),
            "device": provenance.get("device"),
            "host": provenance.get("host"),
            **_get_times(record),
            "dataset": spec["data"]["name"],
            "edition": describe_data_limits(
                record.get("edition"),
                _to_text(spec["data"].get("num_train")),
                _to_text(spec["data"].get("num_test")),
            ),
            "preset": record.get("preset"),
            "model": spec["model"]["name"],
        }
    )
    params = flatten_settings(spec)
    raw.settings[trial_id] = select_settings(params)
    raw.norm_options[trial_id] = format_norm_options(params)
    raw.add_packages(provenance.get("packages") or {})
    if "python" in provenance:
        raw.add_packages({"python": provenance["python"]})
    curves.extend({"trial_id": trial_id, **epoch} for epoch in record.get("epochs") or [])


def _get_times(record: dict[str, Any]) -> dict[str, str]:
    """Return the start of the first attempt and, of an ended trial, the end of the last one."""
    attempts, epochs = record.get("attempts") or [{}], record.get("epochs") or [{}]
    started, ended = (
        int(datetime.fromisoformat(time).timestamp() * 1000) if time else None
        for time in (attempts[0].get("started"), attempts[-1].get("ended"))
    )
    if ended is None:
        ended = epochs[-1].get("timestamp_ms")
    return {
        "started": format_utc(started),
        "ended": format_utc(ended) if record.get("outcome") else "",
    }


def _list_drivers(attempts: list[dict[str, Any]]) -> str:
    """Return the identities of the runs of the program that the attempts belong to, in order."""
    return " ".join(dict.fromkeys(str(item["driver"]) for item in attempts if item.get("driver")))


def _to_text(value: object) -> str | None:
    """Return `str(value)`, or None for None."""
    return None if value is None else str(value)
