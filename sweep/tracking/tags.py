"""The tags of experiments and runs, and the names of a spec's fields as params."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from sweep.grid.expand import GridTrial
from sweep.grid.left_out import left_out_as_json
from sweep.grid.model import Grid
from sweep.grid.variant import Variant
from sweep.records.record import Record
from sweep.wording import format_step_ranges

LEFT_OUT = "sweep.left_out."
MAX_TAG_LENGTH = 4000
"""Characters; what MLflow takes differs between its versions and stores."""

EMPTY_PART = "[]"
"""The value of a part of a tag that a smaller grid no longer needs."""


def experiment_tags(grid: Grid) -> dict[str, str]:
    """Return the tags of an experiment that describe a grid of the name NAME.

    `sweep.expected.NAME` holds the cells and seeds of the trials that the grid expects, in short;
    `sweep.trials.NAME` holds their ids, since an experiment keeps the runs of trials that the grid
    trained before one of its fields was changed. `sweep.reference.NAME` is the reference norm.
    `sweep.left_out.NAME` holds the cells that were left out, each with the reason, and
    `sweep.grid.NAME` the digest of the grid's file and the options `--set` beside it.
    """
    groups: dict[tuple[str, Variant, tuple[int, ...]], list[int]] = {}
    seeds: dict[tuple[str, Variant, int], list[int]] = {}
    for trial in grid.trials:
        key = (trial.norm, trial.variant, trial.spec.batch_size)
        seeds.setdefault(key, []).append(trial.spec.seed)
    for (norm, variant, size), of_cell in seeds.items():
        groups.setdefault((norm, variant, tuple(of_cell)), []).append(size)
    blocks = [
        {"norm": norm, "variant": str(variant), "batch_sizes": sizes, "seeds": of_cell[i : i + 500]}
        for (norm, variant, of_cell), sizes in groups.items()
        for i in range(0, len(of_cell), 500)
    ]
    tags = dict(_split_into_tags(f"sweep.expected.{grid.name}", blocks))
    tags |= _split_into_tags(f"sweep.trials.{grid.name}", [trial.trial_id for trial in grid.trials])
    tags[f"sweep.grid.{grid.name}"] = json.dumps(grid.file_identity, ensure_ascii=False)
    if grid.left_out:
        tags |= _split_into_tags(f"{LEFT_OUT}{grid.name}", left_out_as_json(grid.left_out))
    if grid.reference:
        tags[f"sweep.reference.{grid.name}"] = grid.reference
    return tags


def outdated_tags(grid: Grid, current: Mapping[str, str]) -> dict[str, str]:
    """Return empty values for those `current` tags of an experiment that may be out of date.

    They hold parts of a grid that was larger, or cells that were left out.
    """
    parts = tuple(f"sweep.{what}.{grid.name}:" for what in ("expected", "trials"))
    left_out = f"{LEFT_OUT}{grid.name}"
    return {
        key: EMPTY_PART
        for key in current
        if key.startswith(parts) or key.partition(":")[0] == left_out
    }


def _split_into_tags(key: str, items: Sequence[Any]) -> Iterator[tuple[str, str]]:
    """Yield tags `key`, `key:2`, … with the items as JSON lists of at most `MAX_TAG_LENGTH`."""
    part: list[str] = []
    length, number = 0, 1
    for text in (json.dumps(item, separators=(",", ":")) for item in items):
        if part and length + len(text) > MAX_TAG_LENGTH - len(EMPTY_PART):
            yield (key if number == 1 else f"{key}:{number}"), f"[{','.join(part)}]"
            part, length, number = [], 0, number + 1
        part.append(text)
        length += len(text) + 1
    yield (key if number == 1 else f"{key}:{number}"), f"[{','.join(part)}]"


def run_tags(record: Record, trial: GridTrial, sweep: str) -> dict[str, str]:
    """Return the tags of a trial's run."""
    tags: dict[str, str | float | None] = {
        "norm": trial.norm,
        "sweep.name": sweep,
        "sweep.variant": str(trial.variant),
        "sweep.edition": record.edition,
        "sweep.preset": _encode_preset(record),
        "sweep.outcome": record.outcome.value if record.outcome else "running",
        "sweep.chance_error": record.chance_error,
        "sweep.num_classes": record.num_classes,
        "sweep.num_train": record.num_train,
        "sweep.num_test": record.num_test,
        "sweep.num_parameters": record.num_parameters,
        "sweep.spec_version": record.spec_version,
        "sweep.weights_digest": record.weights_digest,
        "sweep.attempts": len(record.attempts),
        "sweep.fused": record.fused,
        "sweep.compiled": format_step_ranges(record.compiled) or None,
    }
    provenance, last = record.provenance, record.last_attempt
    tags |= {
        "sweep.code_version": provenance.code_version,
        "sweep.python": provenance.python,
        "sweep.host": provenance.host,
        "sweep.device": provenance.device,
        "sweep.platform": provenance.platform,
        "sweep.source": (last and last.source) or None,
    }
    if provenance.packages:
        tags["sweep.packages"] = json.dumps(provenance.packages, separators=(",", ":"))
    if record.error:
        tags["sweep.error"] = f"{record.error.type}: {record.error.message}"
    return {key: str(value)[:MAX_TAG_LENGTH] for key, value in tags.items() if value is not None}


def _encode_preset(record: Record) -> str | None:
    """Return what a preset replaced, as JSON; its name alone if a tag cannot hold the rest."""
    if record.preset is None:
        return None
    text = json.dumps(record.preset, separators=(",", ":"), ensure_ascii=False)
    is_short = len(text) <= MAX_TAG_LENGTH
    return text if is_short else json.dumps({"preset": record.preset["preset"]})
