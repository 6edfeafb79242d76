import pytest
import torch

from trainables.data.load import Dataset, _channel_moments, load_dataset
from trainables.spec import DataSpec


def digits(num_train: int | None = None, num_test: int | None = None) -> Dataset:
    return load_dataset(DataSpec(name="digits", num_train=num_train, num_test=num_test))


def keys(images: torch.Tensor) -> list[bytes]:
    return [image.numpy().tobytes() for image in images]


def test_all_examples_by_number_are_all_examples() -> None:
    limited, whole = digits(1437, 360), digits()
    assert torch.equal(limited.train.images, whole.train.images)
    assert torch.equal(limited.test.labels, whole.test.labels)


@pytest.mark.parametrize("count", [1, 9, 10, 37, 200, 1000])
def test_a_part_is_balanced_and_holds_every_smaller_part(count: int) -> None:
    train = digits(count).train
    per_class = torch.bincount(train.labels, minlength=10)
    assert len(train) == count
    assert per_class.max() - per_class.min() <= 1
    larger = set(keys(digits(count + 5).train.images))
    assert set(keys(train.images)) <= larger


def test_a_part_keeps_images_with_their_labels() -> None:
    whole = digits().train
    known = dict(zip(keys(whole.images), whole.labels.tolist(), strict=True))
    part = digits(50).train
    assert [known[key] for key in keys(part.images)] == part.labels.tolist()


def test_a_class_that_runs_out_leaves_the_others_balanced() -> None:
    per_class = torch.bincount(digits(1430).train.labels)
    whole = torch.bincount(digits().train.labels)
    kept_whole = per_class == whole
    assert kept_whole.any()
    assert (per_class[~kept_whole].max() - per_class[~kept_whole].min()) <= 1


def test_statistics_are_those_of_the_whole_training_split() -> None:
    part, whole = digits(20), digits()
    pixels = whole.train.images.double()
    assert part.mean.item() == pytest.approx(pixels.mean().item())
    assert part.std.item() == pytest.approx(pixels.std(correction=0).item())


def test_statistics_are_taken_by_channel() -> None:
    images = torch.randint(0, 256, (20, 3, 4, 4)).to(torch.uint8)
    images[:, 1] //= 4
    mean, std = _channel_moments(images)
    expected = torch.std_mean(images.double(), dim=(0, 2, 3), correction=0, keepdim=True)
    torch.testing.assert_close((std.double(), mean.double()), expected)


def test_a_process_reads_a_data_set_once() -> None:
    assert digits().train.images is digits(num_test=7).train.images


def test_types_are_those_that_training_needs() -> None:
    dataset = digits()
    assert dataset.train.images.dtype == torch.uint8
    assert dataset.train.labels.dtype == torch.int64
    assert dataset.standardise(dataset.train.images[:2]).dtype == torch.float32
