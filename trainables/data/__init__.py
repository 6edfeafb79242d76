"""Data sets as tensors in memory. Only `load` and what batches need import torch."""

from trainables.data.catalog import DATASETS, DatasetInfo, dataset_info
from trainables.data.files import data_root
from trainables.data.own import own_facts, read_own, require_repeatable, use_root
from trainables.data.sources import download, how_to_get, is_available, verify

__all__ = [
    "DATASETS",
    "DatasetInfo",
    "data_root",
    "dataset_info",
    "download",
    "how_to_get",
    "is_available",
    "own_facts",
    "read_own",
    "require_repeatable",
    "use_root",
    "verify",
]
