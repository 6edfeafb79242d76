"""What experiments and runs are tagged with, and what a spec's fields are called as params."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from sweep.grid.expand import GridTrial
from sweep.grid.left_out import as_data
from sweep.grid.model import Grid
from sweep.records.record import Record
from sweep.wording import format_step_ranges

LEFT_OUT = "sweep.left_out."
MAX_TAG_LENGTH = 4000
"""Characters; what MLflow takes differs between its versions and stores."""

EMPTY = "[]"
"""The value of a part of a tag that a smaller grid no longer needs."""


def experiment_tags(grid: Grid) -> dict[str, str]:
    """Which trials the grid expects, which cells it leaves out and why, and its reference norm.

    `sweep.expected.NAME` holds their cells and seeds in short, `sweep.trials.NAME` their ids: an
    experiment keeps the runs of trials that the grid trained before a held field was changed.
    `sweep.left_out.NAME` holds the cells that were left out, each with the reason, and
    `sweep.grid.NAME` the digest of the grid's file and the options `--set` beside it.
    """
    groups: dict[tuple[str, str, tuple[int, ...]], list[int]] = {}
    seeds: dict[tuple[str, str, int], list[int]] = {}
    for trial in grid.trials:
        key = (trial.norm, trial.variant, trial.spec.batch_size)
        seeds.setdefault(key, []).append(trial.spec.seed)
    for (norm, variant, size), of_cell in seeds.items():
        groups.setdefault((norm, variant, tuple(of_cell)), []).append(size)
    blocks = [
        {"norm": norm, "variant": variant, "batch_sizes": sizes, "seeds": of_cell[i : i + 500]}
        for (norm, variant, of_cell), sizes in groups.items()
        for i in range(0, len(of_cell), 500)
    ]
    tags = dict(_in_parts(f"sweep.expected.{grid.name}", blocks))
    tags |= _in_parts(f"sweep.trials.{grid.name}", [trial.trial_id for trial in grid.trials])
    tags[f"sweep.grid.{grid.name}"] = json.dumps(grid.as_file, ensure_ascii=False)
    if grid.left_out:
        tags |= _in_parts(f"{LEFT_OUT}{grid.name}", as_data(grid.left_out))
    if grid.reference:
        tags[f"sweep.reference.{grid.name}"] = grid.reference
    return tags


def outdated_tags(grid: Grid, known: Mapping[str, str]) -> dict[str, str]:
    """Those `known` tags emptied that hold parts of a larger grid, or cells no longer left out."""
    further = tuple(f"sweep.{what}.{grid.name}:" for what in ("expected", "trials"))
    left_out = f"{LEFT_OUT}{grid.name}"
    return {
        key: EMPTY for key in known if key.startswith(further) or key.partition(":")[0] == left_out
    }


def _in_parts(key: str, items: Sequence[Any]) -> Iterator[tuple[str, str]]:
    """The items in as many tags (`key`, `key:2`, …) as MLflow's limit on a tag's length asks."""
    part: list[str] = []
    length, number = 0, 1
    for text in (json.dumps(item, separators=(",", ":")) for item in items):
        if part and length + len(text) > MAX_TAG_LENGTH - len(EMPTY):
            yield (key if number == 1 else f"{key}:{number}"), f"[{','.join(part)}]"
            part, length, number = [], 0, number + 1
        part.append(text)
        length += len(text) + 1
    yield (key if number == 1 else f"{key}:{number}"), f"[{','.join(part)}]"


def run_tags(record: Record, trial: GridTrial, sweep: str) -> dict[str, str]:
    """What a run says of its trial beside params and metrics."""
    tags: dict[str, Any] = {
        "norm": trial.norm,
        "sweep.name": sweep,
        "sweep.variant": trial.variant,
        "sweep.edition": record.edition,
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
    for key in ("code_version", "python", "host", "device", "platform"):
        tags[f"sweep.{key}"] = record.provenance.get(key)
    tags["sweep.source"] = record.attempts[-1].get("source") or None if record.attempts else None
    packages = record.provenance.get("packages")
    if packages:
        tags["sweep.packages"] = json.dumps(packages, separators=(",", ":"))
    if record.error:
        tags["sweep.error"] = f"{record.error['type']}: {record.error['message']}"
    return {key: str(value)[:MAX_TAG_LENGTH] for key, value in tags.items() if value is not None}
