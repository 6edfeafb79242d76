"""Data sets as tensors in memory.

This package imports no torch; `trainables.data.load` and `trainables.data.batches` do.
"""

from trainables.data.catalog import DATASETS, DatasetInfo
from trainables.data.custom import (
    custom_dataset_facts,
    read_custom_data,
    require_repeatable_data,
    set_custom_data_root,
)
from trainables.data.files import data_root
from trainables.data.lookup import dataset_info
from trainables.data.sources import describe_download, download, is_available, verify

__all__ = [
    "DATASETS",
    "DatasetInfo",
    "custom_dataset_facts",
    "data_root",
    "dataset_info",
    "describe_download",
    "download",
    "is_available",
    "read_custom_data",
    "require_repeatable_data",
    "set_custom_data_root",
    "verify",
]
