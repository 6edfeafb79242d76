"""What the data set of a spec holds, whether it is one of the catalog's or a user's own.

Importing this module loads no torch.
"""

from __future__ import annotations

import dataclasses

from trainables.data.catalog import CROPS, DATASETS, TRAINABLE, DatasetInfo
from trainables.spec import DataSpec, is_custom


def complete_data_spec(spec: DataSpec) -> DataSpec:
    """Return the spec with the defaults of a custom data set filled in.

    For a custom data set that reads from a stated root the digest is added, for which the data set
    is read. The module of a custom data set is imported.

    Raises:
        ValueError: an unknown name or option.
    """
    if is_custom(spec.name):
        from trainables.data.custom import complete_data_options, with_digest

        return with_digest(complete_data_options(spec))
    if spec.name not in DATASETS:
        raise ValueError(
            f"data set {spec.name!r} is not one of {', '.join(TRAINABLE)}; one of your own is "
            f"'package.module:attr'"
        )
    if spec.options:
        raise ValueError(f"{spec.name} has no `options`, which are a user's own data set's")
    if spec.digest:
        raise ValueError(f"{spec.name} has no `digest`, which is a user's own data set's")
    return spec


def full_dataset_info(spec: DataSpec) -> DatasetInfo:
    """Return the data set's entry before `num_train`, `num_test` and `augment` of the spec apply.

    A custom data set is read for its dimensions. Raises as `dataset_info`.
    """
    spec = complete_data_spec(spec)
    if is_custom(spec.name):
        from trainables.data.custom import custom_dataset_facts

        return custom_dataset_facts(spec).info
    return DATASETS[spec.name]


def dataset_info(spec: DataSpec) -> DatasetInfo:
    """Return dimensions of the data set under the limits of the spec; `shape` is a model input's.

    Raises:
        ValueError: an unknown name, a limit beyond what the data set has, or images smaller than
            the crop.
        DataUnavailable: a custom data set that breaks the rules.
    """
    info = full_dataset_info(spec)
    limits = (
        ("num_train", spec.num_train, info.num_train),
        ("num_test", spec.num_test, info.num_test),
    )
    for name, limit, available in limits:
        if limit is not None and not 1 <= limit <= available:
            raise ValueError(
                f"`1 <= {name} <= {available}` must hold for {spec.name}, but got {name}={limit}"
            )
    channels, *sizes = info.shape
    crop = CROPS.get(spec.augment, min(sizes))
    if crop > min(sizes):
        raise ValueError(
            f"{spec.augment} needs images of {crop}x{crop} pixels, but those of {spec.name} "
            f"have {sizes[0]}x{sizes[1]}; use crop_flip"
        )
    return dataclasses.replace(
        info,
        shape=(channels, crop, crop),
        num_train=spec.num_train or info.num_train,
        num_test=spec.num_test or info.num_test,
    )
