import re
from collections import Counter
from pathlib import Path
from urllib.error import URLError

import numpy as np
import pytest
from cifar_files import pack, shrink, write_cifar
from sklearn.datasets import load_digits

from trainables.data import data_root, describe_download, download, is_available, sources
from trainables.errors import DataUnavailable


def no_network(*_: object) -> None:
    raise URLError("Name or service\nnot known")


def write_fashion_mnist(root: Path, patch: pytest.MonkeyPatch) -> np.ndarray:  # type: ignore[type-arg]
    """Fashion-MNIST's four files in the IDX format with three and two images."""
    folder = root / "FashionMNIST" / "raw"
    folder.mkdir(parents=True)
    images = np.random.default_rng(0).integers(0, 256, (5, 28, 28), np.uint8)
    labels = np.arange(5, dtype=np.uint8)
    for prefix, part in (("train", slice(0, 3)), ("t10k", slice(3, 5))):
        for kind, array in (("images-idx3", images[part]), ("labels-idx1", labels[part])):
            header = b"\0\0\x08" + bytes([array.ndim])
            header += b"".join(size.to_bytes(4, "big") for size in array.shape)
            (folder / f"{prefix}-{kind}-ubyte").write_bytes(header + array.tobytes())
    shrink(patch, "fashion_mnist", 3, 2)
    return images[:, None]


def test_digits_are_split_by_class_and_complete() -> None:
    raw = sources.read_arrays("digits")
    bundle = load_digits()
    assert len(raw.train_labels) == 1437
    assert len(raw.test_labels) == 360
    both = zip(
        [*raw.train_images, *raw.test_images], [*raw.train_labels, *raw.test_labels], strict=True
    )
    found = Counter((image.tobytes(), int(label)) for image, label in both)
    original = zip(bundle.images.astype(np.uint8), bundle.target, strict=True)
    assert found == Counter((image.tobytes(), int(label)) for image, label in original)
    for label, count in Counter(bundle.target.tolist()).items():
        assert abs(np.sum(raw.test_labels == label) - count / 5) <= 1


def test_digits_split_is_every_fifth_of_a_class_in_a_fixed_order() -> None:
    bundle = load_digits()
    fifth = set(sorted(range(1797), key=lambda i: bundle.target[i])[::5])
    order = [i for i in np.random.RandomState(0).permutation(1797) if i in fifth]
    raw = sources.read_arrays("digits")
    np.testing.assert_array_equal(raw.test_images[:, 0], bundle.images[order])
    np.testing.assert_array_equal(raw.test_labels, bundle.target[order])


def test_cifar10_is_read_channels_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    images = write_cifar(tmp_path, monkeypatch)
    assert is_available("cifar10", tmp_path)
    raw = sources.read_arrays("cifar10", tmp_path)
    np.testing.assert_array_equal(raw.train_images, images[:10])
    np.testing.assert_array_equal(raw.test_images, images[10:])
    assert raw.train_labels.tolist() == [0, 9, 1, 9, 2, 9, 3, 9, 4, 9]


def test_cifar100_is_read_with_its_fine_labels(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    images = write_cifar(tmp_path, monkeypatch, "cifar100", per_file=3)
    raw = sources.read_arrays("cifar100", tmp_path)
    np.testing.assert_array_equal(raw.train_images, images[:3])
    np.testing.assert_array_equal(raw.test_images, images[3:])
    assert raw.train_labels.tolist() == [0, 90, 0]
    assert raw.test_labels.tolist() == [10, 90, 0]


@pytest.mark.parametrize("name", ["cifar10", "cifar100"])
def test_an_archive_that_is_there_is_unpacked_without_a_network(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    images = write_cifar(tmp_path, monkeypatch, name)
    pack(tmp_path, monkeypatch, name)
    assert not is_available(name, tmp_path)
    download(name, tmp_path)
    np.testing.assert_array_equal(sources.read_arrays(name, tmp_path).test_images, images[-2:])


def test_what_is_known_by_its_dimensions_alone_is_never_there(tmp_path: Path) -> None:
    assert not is_available("imagenet", tmp_path)
    for ask in (sources.read_arrays, download):
        with pytest.raises(DataUnavailable, match="nothing can be trained on it"):
            ask("imagenet", tmp_path)


def test_a_changed_file_is_noticed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_cifar(tmp_path, monkeypatch)
    (tmp_path / "cifar-10-batches-py" / "data_batch_3").write_bytes(b"half a downlo")
    with pytest.raises(DataUnavailable) as caught:
        sources.verify("cifar10", tmp_path)
    assert str(caught.value) == (
        f"cifar10 in {tmp_path} cannot be read: cifar-10-batches-py/data_batch_3 is damaged (not "
        "the original); remove cifar-10-batches-py/ there, and it is unpacked or downloaded again"
    )


def test_half_a_file_of_fashion_mnist_is_noticed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_fashion_mnist(tmp_path, monkeypatch)
    sources.verify("fashion_mnist", tmp_path)
    file = tmp_path / "FashionMNIST/raw/t10k-images-idx3-ubyte"
    file.write_bytes(file.read_bytes()[:-100])
    what = "FashionMNIST/raw/t10k-images-idx3-ubyte is damaged .*; remove FashionMNIST/raw/ there"
    with pytest.raises(DataUnavailable, match=what):
        sources.verify("fashion_mnist", tmp_path)


def test_a_damaged_archive_is_named_where_it_cannot_be_had_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_cifar(tmp_path, monkeypatch, "cifar100")
    pack(tmp_path, monkeypatch, "cifar100")
    (tmp_path / "cifar-100-python.tar.gz").write_bytes(b"half a downlo")
    monkeypatch.setattr("torchvision.datasets.utils._urlretrieve", no_network)
    with pytest.raises(DataUnavailable) as caught:
        download("cifar100", tmp_path)
    message = str(caught.value)
    assert "cifar-100-python.tar.gz is damaged" in message
    assert "copy cifar-100-python.tar.gz or the folder cifar-100-python/ there" in message
    assert "download=True" not in message
    assert "\n" not in message


def test_what_a_download_would_have_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert describe_download("digits", tmp_path) is None
    assert describe_download("cifar100", tmp_path) == "they are downloaded"
    write_cifar(tmp_path, monkeypatch, "cifar100")
    assert describe_download("cifar100", tmp_path) is None
    pack(tmp_path, monkeypatch, "cifar100")
    assert describe_download("cifar100", tmp_path) == "cifar-100-python.tar.gz there is unpacked"


def test_fashion_mnist_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    images = write_fashion_mnist(tmp_path, monkeypatch)
    raw = sources.read_arrays("fashion_mnist", tmp_path)
    np.testing.assert_array_equal(raw.train_images, images[:3])
    np.testing.assert_array_equal(raw.test_images, images[3:])
    assert raw.test_labels.tolist() == [3, 4]


def test_the_wrong_number_of_images_is_noticed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_fashion_mnist(tmp_path, monkeypatch)
    shrink(monkeypatch, "fashion_mnist", 3, 3)
    with pytest.raises(DataUnavailable, match=re.escape("not (3, 1, 28, 28) and (3, 1, 28, 28)")):
        sources.read_arrays("fashion_mnist", tmp_path)


def test_missing_data_says_what_where_and_how(tmp_path: Path) -> None:
    assert not is_available("cifar100", tmp_path)
    with pytest.raises(DataUnavailable) as caught:
        sources.read_arrays("cifar100", tmp_path)
    message = str(caught.value)
    assert "\n" not in message
    assert f"cifar100 is not in {tmp_path}: cifar-100-python/train is missing" in message
    assert "data.download('cifar100')" in message
    assert "copy cifar-100-python.tar.gz or the folder cifar-100-python/ there" in message


def test_a_download_without_a_network_is_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("torchvision.datasets.utils._urlretrieve", no_network)
    with pytest.raises(DataUnavailable, match=r"cannot be had in .*Name or service not known"):
        download("cifar10", tmp_path / "new")


def test_download_leaves_what_is_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_cifar(tmp_path, monkeypatch)
    monkeypatch.setattr(sources, "torchvision_class", None)
    download("cifar10", tmp_path)
    download("digits", tmp_path)


def test_the_root_is_an_argument_a_variable_or_the_cache(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("NORM_SWEEP_DATA", raising=False)
    assert data_root() == tmp_path / ".cache/norm-sweep/data"
    monkeypatch.setenv("NORM_SWEEP_DATA", "~/sets")
    assert data_root() == tmp_path / "sets"
    assert data_root(tmp_path / "here") == tmp_path / "here"
