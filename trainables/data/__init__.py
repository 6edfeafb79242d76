"""Data sets as tensors in memory. Only `load` and what batches need import torch."""

from trainables.data.catalog import DATASETS, DatasetInfo, dataset_info
from trainables.data.sources import data_root, download, is_available

__all__ = ["DATASETS", "DatasetInfo", "data_root", "dataset_info", "download", "is_available"]
