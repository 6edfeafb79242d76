"""The data that a trial was trained and tested on, as MLflow's data sets."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from sweep.records.record import Record

if TYPE_CHECKING:
    from mlflow.entities import DatasetInput

CONTEXT = "mlflow.data.context"


def datasets(record: Record) -> list[DatasetInput]:
    """Both splits, from what the record holds: no data is read. Empty if it never got so far.

    The digest names the data: by the bits of a user's own data set as its worker read them, and
    by name and kept examples of the others, whose files are checked before they are read.
    """
    from mlflow.entities import Dataset, DatasetInput, InputTag

    data = record.spec["data"]
    source = {key: value for key, value in data.items() if key != "augment" and value is not None}
    return [
        DatasetInput(
            Dataset(
                name=data["name"],
                digest=_digest(record, source, split),
                source_type="code",
                source=json.dumps({"tags": source}, sort_keys=True),
                profile=json.dumps({"num_examples": num, "num_classes": record.num_classes}),
            ),
            [InputTag(CONTEXT, split)],
        )
        for split, num in _splits(record)
    ]


def _splits(record: Record) -> Iterator[tuple[str, int]]:
    for split, num in (("train", record.num_train), ("test", record.num_test)):
        if num is not None:
            yield split, num


def _digest(record: Record, source: dict[str, Any], split: str) -> str:
    bits = (record.last_attempt and record.last_attempt.data) or ""
    content = json.dumps([source, bits, split], sort_keys=True)
    return hashlib.sha256(content.encode()).hexdigest()[:8]
