import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from trainables.data import batches
from trainables.data.batches import evaluation_batches, training_chunks
from trainables.data.load import Dataset, Split, load_dataset
from trainables.spec import DataSpec

DIGITS = load_dataset(DataSpec(name="digits"))


def numbered(num_train: int, num_test: int) -> Dataset:
    """Images of 8x8 equal pixels that show their own number, which is also their label."""

    def split(count: int) -> Split:
        numbers = torch.arange(count)
        images = numbers.to(torch.uint8)[:, None, None, None].expand(count, 1, 8, 8)
        return Split(images=images.contiguous(), labels=numbers)

    return Dataset(
        train=split(num_train),
        test=split(num_test),
        mean=torch.zeros(1, 1, 1, 1),
        std=torch.ones(1, 1, 1, 1),
        num_classes=num_train,
    )


def epoch_labels(dataset: Dataset, batch_size: int, seed: int = 0, epoch: int = 1) -> list[int]:
    stretches = training_chunks(
        dataset, batch_size=batch_size, augment="none", seed=seed, epoch=epoch
    )
    return [label for _, labels in stretches for label in labels.tolist()]


@given(num_train=st.integers(1, 250), batch_size=st.integers(1, 250))
def test_an_epoch_visits_whole_batches_of_different_examples(
    num_train: int, batch_size: int
) -> None:
    labels = epoch_labels(numbered(num_train, 1), batch_size)
    assert len(labels) == num_train // batch_size * batch_size
    assert len(set(labels)) == len(labels)


@given(batch_size=st.integers(1, 40), steps=st.integers(1, 9), examples=st.integers(1, 200))
def test_stretches_hold_whole_batches_within_their_bounds(
    batch_size: int, steps: int, examples: int
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(batches, "CHUNK_STEPS", steps)
        patch.setattr(batches, "CHUNK_EXAMPLES", examples)
        dataset = numbered(100, 1)
        stretches = list(
            training_chunks(dataset, batch_size=batch_size, augment="none", seed=0, epoch=1)
        )
    for images, labels in stretches:
        assert len(labels) % batch_size == 0
        assert len(labels) <= max(batch_size, min(steps * batch_size, examples))
        assert torch.equal(images[:, 0, 3, 3].long(), labels)
    together = [label for _, labels in stretches for label in labels.tolist()]
    assert together == epoch_labels(dataset, batch_size)


def test_order_depends_on_seed_and_epoch_and_not_on_the_batch_size() -> None:
    dataset = numbered(96, 1)
    assert epoch_labels(dataset, 8) == epoch_labels(dataset, 2)
    assert epoch_labels(dataset, 8) != epoch_labels(dataset, 8, epoch=2)
    assert epoch_labels(dataset, 8) != epoch_labels(dataset, 8, seed=1)


def test_training_images_are_standardised() -> None:
    stretches = training_chunks(DIGITS, batch_size=1, augment="none", seed=0, epoch=1)
    images = torch.cat([images for images, _ in stretches]).double()
    assert images.mean().item() == pytest.approx(0, abs=1e-5)
    assert images.std(correction=0).item() == pytest.approx(1, abs=1e-5)


def test_padding_is_black_before_standardisation() -> None:
    white = torch.full((50, 1, 8, 8), 200, dtype=torch.uint8)
    split = Split(images=white, labels=torch.zeros(50, dtype=torch.long))
    dataset = Dataset(
        train=split,
        test=split,
        mean=torch.full((1, 1, 1, 1), 100.0),
        std=torch.full((1, 1, 1, 1), 50.0),
        num_classes=1,
    )
    ((images, _),) = training_chunks(dataset, batch_size=50, augment="crop_flip", seed=0, epoch=1)
    assert set(images.unique().tolist()) == {(0 - 100) / 50, (200 - 100) / 50}


def test_a_batch_is_a_copy() -> None:
    before = DIGITS.train.images.clone(), DIGITS.test.images.clone()
    for images, labels in training_chunks(DIGITS, batch_size=64, augment="none", seed=0, epoch=1):
        images.zero_()
        labels.zero_()
    for images in evaluation_batches(DIGITS, batch_size=64, fill_last=False):
        images.zero_()
    assert torch.equal(DIGITS.train.images, before[0])
    assert torch.equal(DIGITS.test.images, before[1])
    assert len(DIGITS.train.labels.unique()) == 10


@given(num_test=st.integers(1, 250), batch_size=st.integers(1, 250), fill_last=st.booleans())
def test_evaluation_visits_every_example_in_order(
    num_test: int, batch_size: int, fill_last: bool
) -> None:
    found = [
        images[:, 0, 0, 0].numpy()
        for images in evaluation_batches(
            numbered(1, num_test), batch_size=batch_size, fill_last=fill_last
        )
    ]
    numbers = np.concatenate(found)
    np.testing.assert_array_equal(numbers[:num_test], np.arange(num_test))
    assert all(len(batch) == batch_size for batch in found[: None if fill_last else -1])
    assert len(numbers) - num_test < (batch_size if fill_last else 1)
    np.testing.assert_array_equal(numbers, np.arange(len(numbers)) % num_test)
