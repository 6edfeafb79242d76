"""Trials from a sweep's folder: `sweep.json` and one `trials/<trial_id>/record.json` each."""

from __future__ import annotations

import json
from datetime import datetime
from pathlib import Path
from typing import Any

import pandas as pd

from analysis.errors import InputError
from analysis.sources.assemble import (
    Found,
    edition_of,
    empty_curves,
    flat,
    left_out_of,
    settings_of,
    strangers_note,
    utc,
)
from analysis.sources.correctness import read_bits
from analysis.sources.place import CORRECT, SWEEP_FILE

RECORD_VERSION = 1
"""The newest form of a record that is known here."""


def read_records(folder: Path) -> Found:
    """What the sweep in `folder` expects and what its records hold.

    A record that the sweep's grid no longer asks for is left out, and a note says so.
    """
    sweep = _json(folder / SWEEP_FILE)
    try:
        labels = {
            trial["trial_id"]: {
                "sweep": sweep["name"],
                **{key: trial[key] for key in ("norm", "variant", "batch_size", "seed")},
            }
            for trial in sweep["trials"]
        }
        found = Found(name=sweep["experiment"], rows=[], curves=empty_curves())
        found.reference = sweep.get("reference")
        found.run_with = {sweep["name"]: sweep.get("grid")}
        found.left_out = left_out_of(sweep["name"], sweep.get("left_out") or [])
    except (KeyError, TypeError) as error:
        raise InputError(
            f"{folder / SWEEP_FILE} lacks {error}; write it anew with `run`"
        ) from error
    found.expected = list(labels.values())
    curves: list[dict[str, Any]] = []
    strangers = 0
    for path in sorted((folder / "trials").glob("*/record.json")):
        if path.parent.name in labels:
            _read_one(found, curves, path, labels[path.parent.name])
            bits = read_bits(path.with_name(CORRECT))
            if bits is not None:
                found.correct[path.parent.name] = bits
        else:
            strangers += 1
    if strangers:
        found.notes.append(strangers_note(strangers))
    if curves:
        found.curves = pd.DataFrame.from_records(curves)
    return found


def _json(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InputError(f"{path} cannot be read: {error}") from error
    if not isinstance(content, dict):
        raise InputError(f"{path} must hold a JSON object, but holds a {type(content).__name__}")
    return content


def _read_one(
    found: Found, curves: list[dict[str, Any]], path: Path, label: dict[str, Any]
) -> None:
    record = _json(path)
    version = record.get("record_version", RECORD_VERSION)
    if not isinstance(version, int) or version > RECORD_VERSION:
        raise InputError(
            f"{path} has record_version {version}, but this program knows versions up to "
            f"{RECORD_VERSION}; update the program"
        )
    try:
        _add(found, curves, record, label)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        said = f"lacks {error}" if isinstance(error, KeyError) else f"is not a record: {error}"
        raise InputError(
            f"{path} {said}; put back a copy of it, or delete it to train the trial again"
        ) from error


def _add(
    found: Found, curves: list[dict[str, Any]], record: dict[str, Any], label: dict[str, Any]
) -> None:
    trial_id, spec = record["trial_id"], record["spec"]
    provenance = record.get("provenance") or {}
    found.rows.append(
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
            "device": provenance.get("device"),
            "host": provenance.get("host"),
            **_when(record),
            "dataset": spec["data"]["name"],
            "edition": edition_of(
                record.get("edition"),
                _text(spec["data"].get("num_train")),
                _text(spec["data"].get("num_test")),
            ),
            "preset": record.get("preset"),
            "model": spec["model"]["name"],
        }
    )
    found.settings[trial_id] = settings_of(flat(spec))
    found.add_packages(provenance.get("packages") or {})
    if "python" in provenance:
        found.add_packages({"python": provenance["python"]})
    curves.extend({"trial_id": trial_id, **epoch} for epoch in record.get("epochs") or [])


def _when(record: dict[str, Any]) -> dict[str, str]:
    """When the first attempt began and, of a trial that is over, when the last one ended."""
    attempts, epochs = record.get("attempts") or [{}], record.get("epochs") or [{}]
    started, ended = (
        int(datetime.fromisoformat(time).timestamp() * 1000) if time else None
        for time in (attempts[0].get("started"), attempts[-1].get("ended"))
    )
    if ended is None:
        ended = epochs[-1].get("timestamp_ms")
    return {"started": utc(started), "ended": utc(ended) if record.get("outcome") else ""}


def _text(value: object) -> str | None:
    return None if value is None else str(value)
