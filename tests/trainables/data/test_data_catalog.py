import re

import pytest

from trainables.data import DATASETS, DatasetInfo, dataset_info
from trainables.spec import DataSpec


def test_data_sets_are_pinned() -> None:
    facts = {
        name: (info.num_classes, info.shape, info.num_train, info.num_test)
        for name, info in DATASETS.items()
    }
    assert facts == {
        "digits": (10, (1, 8, 8), 1437, 360),
        "fashion_mnist": (10, (1, 28, 28), 60_000, 10_000),
        "cifar10": (10, (3, 32, 32), 50_000, 10_000),
        "cifar100": (100, (3, 32, 32), 50_000, 10_000),
        "imagenet": (1000, (3, 224, 224), 1_281_167, 50_000),
    }


def test_limits_take_the_place_of_the_whole() -> None:
    assert dataset_info(DataSpec(name="digits")) == DATASETS["digits"]
    limited = dataset_info(DataSpec(name="digits", num_train=100, num_test=20))
    assert limited == DatasetInfo(10, (1, 8, 8), 100, 20)


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        (DataSpec(name="digit"), "data set 'digit' is not one of digits, fashion_mnist"),
        (
            DataSpec(name="digits", num_train=1438),
            "`1 <= num_train <= 1437` must hold for digits, but got num_train=1438",
        ),
        (DataSpec(name="digits", num_test=361), "but got num_test=361"),
        (
            DataSpec(name="digits", augment="crop24_flip"),
            "crop24_flip needs images of 24x24 pixels, but those of digits have 8x8; use crop_flip",
        ),
    ],
)
def test_what_there_is_not_is_refused(spec: DataSpec, message: str) -> None:
    with pytest.raises(ValueError, match=re.escape(message)):
        dataset_info(spec)


def test_a_crop_decides_what_a_model_is_given() -> None:
    assert dataset_info(DataSpec(name="cifar100", augment="crop24_flip")).shape == (3, 24, 24)
    assert dataset_info(DataSpec(name="cifar100", augment="crop_flip")).shape == (3, 32, 32)
