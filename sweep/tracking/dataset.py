"""The data on which a trial was trained and tested, as data sets of MLflow."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from sweep.records.record import Record

if TYPE_CHECKING:
    from mlflow.entities import DatasetInput

CONTEXT = "mlflow.data.context"


def dataset_inputs(record: Record) -> list[DatasetInput]:
    """Return the training and the test split, described from the record: no data is read.

    A digest names the data: by the bits of a custom data set as its worker read them, and by the
    name and the number of kept examples of a built-in one, whose files are checked when read. The
    list is empty for a trial that ended before its data was loaded.
    """
    from mlflow.entities import Dataset, DatasetInput, InputTag

    data = record.spec["data"]
    source = {key: value for key, value in data.items() if key != "augment" and value is not None}
    return [
        DatasetInput(
            Dataset(
                name=data["name"],
                digest=_compute_digest(record, source, split),
                source_type="code",
                source=json.dumps({"tags": source}, sort_keys=True),
                profile=json.dumps({"num_examples": num, "num_classes": record.num_classes}),
            ),
            [InputTag(CONTEXT, split)],
        )
        for split, num in _list_splits(record)
    ]


def _list_splits(record: Record) -> Iterator[tuple[str, int]]:
    """Yield name and number of examples of each split."""
    for split, num in (("train", record.num_train), ("test", record.num_test)):
        if num is not None:
            yield split, num


def _compute_digest(record: Record, source: Mapping[str, Any], split: str) -> str:
    """Return 8 hex digits that name the data of a split."""
    bits = (record.last_attempt and record.last_attempt.data) or ""
    content = json.dumps([source, bits, split], sort_keys=True)
    return hashlib.sha256(content.encode()).hexdigest()[:8]
