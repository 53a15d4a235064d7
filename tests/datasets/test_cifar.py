import os
import pickle
from pathlib import Path

import numpy as np
import pytest

from clif.data import create_loader
from clif.errors import InputError, MissingFileError

REAL = os.environ.get("CLIF_TEST_DATA")


def batch(n: int, classes: int, seed: int) -> tuple[np.ndarray, list[int]]:
    rng = np.random.default_rng(seed)
    return rng.integers(0, 256, (n, 3072), dtype=np.uint8), (rng.permutation(n) % classes).tolist()


@pytest.fixture
def python(tmp_path) -> Path:
    """CIFAR-10 and CIFAR-100 of a few images in the python layout."""
    ten, hundred = tmp_path / "cifar-10-batches-py", tmp_path / "cifar-100-python"
    ten.mkdir()
    hundred.mkdir()
    for i, name in enumerate([*(f"data_batch_{i}" for i in range(1, 6)), "test_batch"]):
        data, labels = batch(10, 10, i)
        (ten / name).write_bytes(pickle.dumps({b"data": data, b"labels": labels}, protocol=2))
    for i, (name, n) in enumerate((("train", 200), ("test", 100))):
        data, labels = batch(n, 100, i)
        content = {b"data": data, b"fine_labels": labels, b"coarse_labels": [0] * n}
        (hundred / name).write_bytes(pickle.dumps(content, protocol=2))
    return tmp_path


@pytest.fixture
def binary(tmp_path) -> Path:
    folder = tmp_path / "cifar-10-batches-bin"
    folder.mkdir()
    for i, name in enumerate([*(f"data_batch_{i}" for i in range(1, 6)), "test_batch"]):
        data, labels = batch(10, 10, i)
        np.concatenate([np.array(labels, np.uint8)[:, None], data], axis=1).tofile(folder / f"{name}.bin")
    return tmp_path


@pytest.mark.parametrize("layout", ["python", "binary"])
def test_cifar10_from_either_layout(layout, request):
    root = request.getfixturevalue(layout)
    train = create_loader("cifar10", root, augment=False, shuffle=False)
    expected = [batch(10, 10, i) for i in range(5)]
    np.testing.assert_array_equal(train.images.flatten(1), np.concatenate([data for data, _ in expected]))
    assert train.labels.tolist() == [label for _, labels in expected for label in labels]
    images, _ = next(iter(train))
    pixel = expected[0][0][0, 0] / 255
    assert images[0, 0, 0, 0].item() == pytest.approx((pixel - 0.4914) / 0.2023, abs=1e-5)
    assert create_loader("cifar10", root, train=False).num_samples == 10


def test_cifar100_takes_the_fine_labels(python):
    assert create_loader("cifar100", python, shuffle=False).labels.tolist() == batch(200, 100, 0)[1]


class Exploit:
    def __reduce__(self):
        return os.mkdir, ("exploited",)


def damage(folder: Path, kind: str) -> str:
    path = folder / "data_batch_3"
    content = {b"data": batch(10, 10, 2)[0], b"labels": [0] * 10}
    if kind == "cut":
        path.write_bytes(path.read_bytes()[:-100])
    elif kind == "empty":
        path.write_bytes(b"")
    elif kind == "missing":
        path.unlink()
        return "data_batch_3 is missing"
    elif kind == "folder":
        path.unlink()
        path.mkdir()
    elif kind == "label":
        path.write_bytes(pickle.dumps(content | {b"labels": [0] * 9 + [10]}))
        return "label 10 at image 9"
    elif kind == "count":
        path.write_bytes(pickle.dumps(content | {b"labels": [0] * 9}))
        return "10 images but labels"
    elif kind == "shape":
        path.write_bytes(pickle.dumps(content | {b"data": np.zeros((10, 3071), np.uint8)}))
        return r'"data" must be uint8 \[n, 3072\]'
    elif kind == "keys":
        path.write_bytes(pickle.dumps({b"fine_labels": []}))
        return "this file has fine_labels"
    elif kind == "code":
        path.write_bytes(pickle.dumps(content | {b"x": Exploit()}))
        return "mkdir, which a batch of images does not need"
    return "data_batch_3"


@pytest.mark.parametrize("kind", ["cut", "empty", "missing", "folder", "label", "count", "shape", "keys", "code"])
def test_damage_is_named(python, kind, monkeypatch):
    monkeypatch.chdir(python)
    message = damage(python / "cifar-10-batches-py", kind)
    with pytest.raises(InputError, match=message):
        create_loader("cifar10", python)
    assert not Path("exploited").exists()


@pytest.mark.parametrize(
    ("keep", "message"), [(3073 * 7, "7 images where 10"), (3073 * 7 + 5, "7 images where 10"), (0, "")]
)
def test_a_truncated_binary_file_is_named(binary, keep, message):
    os.truncate(binary / "cifar-10-batches-bin" / "data_batch_2.bin", keep)
    with pytest.raises(InputError, match=rf"data_batch_2\.bin.*{message}"):
        create_loader("cifar10", binary)


def test_a_packed_archive_is_to_be_unpacked(tmp_path):
    (tmp_path / "cifar-10-python.tar.gz").write_bytes(b"")
    with pytest.raises(MissingFileError, match="tar xzf cifar-10-python"):
        create_loader("cifar10", tmp_path)


@pytest.mark.skipif(REAL is None, reason="CLIF_TEST_DATA names no folder with the unpacked data")
def test_real_images():
    assert REAL is not None
    python = create_loader("cifar10", Path(REAL, "cifar-10-batches-py"), train=False)
    binary = create_loader("cifar10", Path(REAL, "cifar-10-batches-bin"), train=False)
    np.testing.assert_array_equal(python.images, binary.images)
    assert python.labels.bincount().tolist() == binary.labels.bincount().tolist() == [1000] * 10
