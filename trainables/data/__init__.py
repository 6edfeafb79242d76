"""Data sets as tensors in memory. Only `load` and what batches need import torch."""

from trainables.data.catalog import DATASETS, DatasetInfo
from trainables.data.custom import custom_facts, read_custom_data, require_repeatable, use_root
from trainables.data.files import data_root
from trainables.data.lookup import dataset_info
from trainables.data.sources import download, how_to_get, is_available, verify

__all__ = [
    "DATASETS",
    "DatasetInfo",
    "custom_facts",
    "data_root",
    "dataset_info",
    "download",
    "how_to_get",
    "is_available",
    "read_custom_data",
    "require_repeatable",
    "use_root",
    "verify",
]
