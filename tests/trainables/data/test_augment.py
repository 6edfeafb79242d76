import numpy as np
import torch
from hypothesis import given
from hypothesis import strategies as st

from trainables.data.augment import CropFlip, crop_centre, draw_crops

CPU = torch.device("cpu")


def crop_and_flip(image: np.ndarray, top: int, left: int, flip: bool, padding: int) -> np.ndarray:  # type: ignore[type-arg]
    """One image, the way a person would do it."""
    _, height, width = image.shape
    padded = np.pad(image, ((0, 0), (padding, padding), (padding, padding)))
    crop = padded[:, top : top + height, left : left + width]
    return crop[:, :, ::-1] if flip else crop


@given(data=st.data(), channels=st.sampled_from([1, 3]), size=st.sampled_from([8, 9, 32]))
def test_each_image_is_a_crop_of_the_padded_image(
    data: st.DataObject, channels: int, size: int
) -> None:
    n, start = data.draw(st.integers(1, 5)), data.draw(st.integers(0, 3))
    seed = data.draw(st.integers(0, 99))
    images = np.random.default_rng(seed).integers(0, 256, (n, channels, size, size), np.uint8)
    drawn = draw_crops("crop_flip", num_images=n + start, size=size, seed=seed, epoch=1, device=CPU)
    assert drawn is not None
    result = drawn.apply(torch.from_numpy(images), slice(start, start + n)).numpy()
    assert result.dtype == np.uint8
    for image, output, i in zip(images, result, range(start, start + n), strict=True):
        where = int(drawn.top[i]), int(drawn.left[i]), bool(drawn.flip[i])
        np.testing.assert_array_equal(output, crop_and_flip(image, *where, padding=size // 8))


def test_without_shift_or_flip_nothing_changes() -> None:
    images = torch.randint(0, 256, (2, 3, 16, 16)).to(torch.uint8)
    centre = torch.full((2,), 2)
    still = torch.zeros(2, dtype=torch.bool)
    unmoved = CropFlip(top=centre, left=centre, flip=still, padding=2, size=16)
    assert torch.equal(unmoved.apply(images, slice(0, 2)), images)


def test_every_offset_and_both_directions_occur_equally_often() -> None:
    drawn = draw_crops("crop_flip", num_images=90_000, size=32, seed=0, epoch=1, device=CPU)
    assert drawn is not None
    assert drawn.padding == 4
    for offsets in (drawn.top, drawn.left):
        counts = torch.bincount(offsets)
        assert len(counts) == 9
        assert ((counts - 10_000).abs() < 5 * 100).all()  # five standard deviations
    assert abs(int(drawn.flip.sum()) - 45_000) < 5 * 150


def test_draws_depend_on_seed_and_epoch() -> None:
    def corners(seed: int, epoch: int) -> list[int]:
        drawn = draw_crops("crop_flip", num_images=50, size=32, seed=seed, epoch=epoch, device=CPU)
        assert drawn is not None
        return drawn.top.tolist()

    assert corners(0, 1) == corners(0, 1)
    assert corners(0, 1) != corners(0, 2)
    assert corners(0, 1) != corners(1, 1)


def test_none_draws_nothing() -> None:
    assert draw_crops("none", num_images=5, size=32, seed=0, epoch=1, device=CPU) is None


def test_crop24_takes_24_of_every_offset_equally_often() -> None:
    drawn = draw_crops("crop24_flip", num_images=90_000, size=32, seed=0, epoch=1, device=CPU)
    assert drawn is not None
    assert (drawn.padding, drawn.size) == (0, 24)
    for offsets in (drawn.top, drawn.left):
        counts = torch.bincount(offsets)
        assert len(counts) == 9
        assert ((counts - 10_000).abs() < 5 * 100).all()


@given(seed=st.integers(0, 99), size=st.sampled_from([24, 28, 32]))
def test_crop24_is_a_part_of_the_bare_image(seed: int, size: int) -> None:
    images = np.random.default_rng(seed).integers(0, 256, (4, 3, size, size), np.uint8)
    drawn = draw_crops("crop24_flip", num_images=4, size=size, seed=seed, epoch=1, device=CPU)
    assert drawn is not None
    result = drawn.apply(torch.from_numpy(images), slice(0, 4)).numpy()
    assert result.shape == (4, 3, 24, 24)
    for i, (image, output) in enumerate(zip(images, result, strict=True)):
        top, left = int(drawn.top[i]), int(drawn.left[i])
        part = image[:, top : top + 24, left : left + 24]
        np.testing.assert_array_equal(output, part[:, :, ::-1] if drawn.flip[i] else part)


@given(size=st.sampled_from([24, 27, 32]))
def test_the_centre_has_equal_margins(size: int) -> None:
    rows = torch.arange(size)[:, None].expand(1, 1, size, size)
    for images in (rows, rows.mT):
        middle = crop_centre(images, 24)
        assert middle.shape == (1, 1, 24, 24)
        before, after = int(middle.min()), size - 1 - int(middle.max())
        assert after - before in (0, 1)
