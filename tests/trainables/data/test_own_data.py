from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import probe_data
import pytest
from trial_specs import shrink_trial

import trainables
from trainables import DataUnavailable, Trial
from trainables.data import custom as own
from trainables.data import dataset_info, describe_download, download, is_available, verify
from trainables.data.load import load_dataset
from trainables.data.lookup import complete_data_spec
from trainables.spec import DataSpec, ModelSpec

BLOBS = "probe_data:blobs"


@pytest.fixture(autouse=True)
def anew() -> Iterator[None]:
    """Nothing read by another test is found, nor what another test has put in."""
    own.clear_custom_data_cache()
    probe_data.changes.clear()
    yield
    own.clear_custom_data_cache()


@pytest.mark.parametrize("name", ["blobs", "tensors"])
def test_the_arrays_are_what_is_trained_on(name: str) -> None:
    given = probe_data.blobs(num_classes=4, channels=3)
    spec = DataSpec(name=f"probe_data:{name}", options={"num_classes": 4, "channels": 3})
    info = dataset_info(spec)
    assert (info.num_classes, info.shape) == (4, (3, 8, 8))
    assert (info.num_train, info.num_test) == (100, 50)
    dataset = load_dataset(spec)
    assert dataset.num_classes == 4
    np.testing.assert_array_equal(dataset.train.images.numpy(), given["train_images"])
    np.testing.assert_array_equal(dataset.test.labels.numpy(), given["test_labels"])
    pixels = given["train_images"].astype(float)
    assert dataset.mean.flatten().tolist() == pytest.approx(pixels.mean((0, 2, 3)).tolist())
    assert len(load_dataset(replace(spec, num_train=8, augment="crop_flip")).train) == 8


def test_a_trial_on_it_with_a_model_of_ones_own() -> None:
    spec = shrink_trial(
        data=DataSpec(name=BLOBS), model=ModelSpec(name="probe_models:net"), lr=0.1, epochs=4
    )
    assert spec.custom_names == (BLOBS, "probe_models:net")
    trial = Trial(spec, device="cpu")
    assert trainables.check_feasibility(spec) == trial.dimensions
    assert trial.dimensions.num_classes == 3
    assert trial.dataset.digest == own.read_custom_data(spec.data).digest
    errors = [trial.run_epoch().test_error for _ in range(4)]
    assert errors[-1] < 34, "better than chance"


def test_it_is_called_once_a_process_and_never_changed_by_its_maker() -> None:
    spec = DataSpec(name="probe_data:counting")
    first = load_dataset(spec).train.images.clone()
    assert (
        own.read_custom_data(spec).digest == own.read_custom_data(replace(spec, num_train=5)).digest
    )
    assert (load_dataset(spec).train.images == first).all()


def test_the_same_bits_in_another_process_are_asked_for() -> None:
    own.require_repeatable_data(DataSpec(name=BLOBS))
    for name in ("by_process", "without_seed"):
        with pytest.raises(DataUnavailable, match="other images or labels in another process"):
            own.require_repeatable_data(DataSpec(name=f"probe_data:{name}"))


def test_facts_that_another_process_has_read_spare_a_call() -> None:
    spec = DataSpec(name="probe_data:changed")
    known = {
        (spec.name, own.complete_data_options(spec).options, ""): own.custom_dataset_facts(spec)
    }
    own.clear_custom_data_cache()
    probe_data.changes["train_images"] = None  # a call would be refused
    own.import_dataset_facts(known)
    assert dataset_info(spec).num_train == 100
    with pytest.raises(DataUnavailable, match="expected an array"):
        load_dataset(spec)


def test_a_data_set_that_is_read_again_and_is_another_is_refused() -> None:
    """Of more than two data sets a process keeps no arrays, and reads them anew."""
    spec = DataSpec(name="probe_data:counting")
    own.custom_dataset_facts(spec)
    own._read_once.cache_clear()
    with pytest.raises(DataUnavailable, match="other images or labels than when it was read bef"):
        own.read_custom_data(spec)


def test_a_digest_names_images_labels_and_classes() -> None:
    def digest(**options: Any) -> str:
        return own.read_custom_data(DataSpec(name=BLOBS, options=options)).digest

    assert digest() == digest(size=8)
    assert len({digest(), digest(num_classes=4), digest(size=9)}) == 3


IMAGES = probe_data.blobs()["train_images"]


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"train_images": ...}, "train_images is missing; expected train_images, train_labels"),
        ({"images": 1}, "'images' is not one of train_images"),
        ({"num_classes": 1}, "num_classes: expected a whole number >= 2, found 1"),
        ({"num_classes": "3"}, "num_classes: expected a whole number >= 2, found '3'"),
        (
            {"train_images": IMAGES / 255},
            "train_images: expected uint8, found float64; scale them to 0 to 255",
        ),
        ({"train_images": IMAGES.astype(int)}, "train_images: expected uint8, found int64"),
        ({"test_images": IMAGES[:, 0]}, "test_images: expected shape (N, C, H, W), found (100, 8,"),
        ({"test_images": IMAGES[:, 0]}, "add the channel, test_images[:, None]"),
        (
            {"train_images": IMAGES.transpose(0, 2, 3, 1)},
            "square images (N, C, H, H), found (100, 8, 8, 1); move the channels, .transpose(0, 3",
        ),
        ({"train_images": IMAGES[:, :, 1:]}, "found (100, 1, 7, 8); pad or crop them"),
        ({"train_images": IMAGES[:0]}, "train_images: expected some images, found shape (0, 1,"),
        ({"train_images": None}, "train_images: expected an array, found NoneType"),
        ({"train_images": [[1], [2, 3]]}, "train_images: expected an array, found ValueError: "),
        (
            {"train_images": IMAGES[:, :, 1:, 1:]},
            "test_images have shape (1, 8, 8), but train_images have (1, 7, 7)",
        ),
        ({"train_images": IMAGES * 0}, "train_images: channel 0 is the same everywhere, and canno"),
        ({"train_labels": [1, 2]}, "train_labels: expected shape (100,), found (2,)"),
        ({"train_labels": np.zeros(100)}, "train_labels: expected whole numbers, found float64"),
        ({"train_labels": np.eye(100, 3, dtype=int)}, "expected shape (100,), found (100, 3)"),
        (
            {"test_labels": np.arange(50) % 4},
            "test_labels: expected labels from 0 to 2 (num_classes=3), found 3 at 3",
        ),
        ({"test_labels": -np.ones(50, dtype=int)}, "found -1 at 0"),
    ],
)
def test_each_mistake_in_what_is_returned_has_its_own_line(
    changes: dict[str, Any], expected: str
) -> None:
    probe_data.changes.update(changes)
    with pytest.raises(DataUnavailable, match=re.escape(expected)) as caught:
        dataset_info(DataSpec(name="probe_data:changed"))
    assert str(caught.value).startswith("data set 'probe_data:changed': ")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("raising", "cannot be read: FileNotFoundError: no such file: /mnt/cells.npz"),
        ("nothing", "expected a dict of train_images, train_labels, test_images, test_labels, num"),
    ],
)
def test_what_gives_no_data_is_told(name: str, expected: str) -> None:
    with pytest.raises(DataUnavailable, match=re.escape(expected)):
        load_dataset(DataSpec(name=f"probe_data:{name}"))


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        (DataSpec(name="probe_data:blob"), "probe_data has no 'blob'; did you mean 'blobs'?"),
        (DataSpec(name="nowhere_at_all:x"), "there is no module 'nowhere_at_all'"),
        (DataSpec(name=BLOBS, options={"sise": 3}), "has no option 'sise'; did you mean 'size'?"),
        (DataSpec(name=BLOBS, options={"size": 2.5}), "expected a whole number such as 8, found 2"),
        (DataSpec(name="digits", options={"size": 3}), "digits has no `options`"),
        (DataSpec(name="digit"), "one of your own is 'package.module:attr'"),
        (
            DataSpec(name=BLOBS, num_train=101),
            "`1 <= num_train <= 100` must hold for probe_data:bl",
        ),
        (DataSpec(name=BLOBS, augment="crop24_flip"), "needs images of 24x24 pixels, but those of"),
    ],
)
def test_each_mistake_in_a_spec_has_its_own_line(spec: DataSpec, expected: str) -> None:
    with pytest.raises(ValueError, match=re.escape(expected)):
        dataset_info(spec)


def test_options_are_completed() -> None:
    assert complete_data_spec(DataSpec(name=BLOBS)).options == {
        "num_classes": 3,
        "size": 8,
        "channels": 1,
    }


def test_it_looks_after_its_files_itself() -> None:
    assert is_available(BLOBS)
    assert describe_download(BLOBS) is None
    download(BLOBS)
    verify(BLOBS)


def test_a_missing_root_is_asked_for_where_it_belongs(monkeypatch: pytest.MonkeyPatch) -> None:
    def files(root: str) -> dict[str, Any]:
        return probe_data.blobs()

    monkeypatch.setattr(probe_data, "files", files, raising=False)
    expected = r"write data: {name: probe_data:files, root: …}"
    with pytest.raises(ValueError, match=expected):
        own.complete_data_options(DataSpec(name="probe_data:files"))
    own.set_custom_data_root("folder")
    try:
        own.complete_data_options(DataSpec(name="probe_data:files"))
    finally:
        own.set_custom_data_root(None)
