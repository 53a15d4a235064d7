import codecs
import os
import pickle
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from misleading_pickles import Number, Objects

from clif.data import create_loader
from clif.data.cifar import CIFAR10_LAYOUT, read_python_batch
from clif.data.pickles import load_arrays
from clif.errors import InputError

PIXELS = np.random.default_rng(0).integers(0, 256, (10, 3072), dtype=np.uint8)
LABELS = np.arange(10)[::-1]
FORMS = {
    "list": LABELS.tolist(),
    "tuple": tuple(LABELS.tolist()),
    "array": LABELS,
    "numbers": list(LABELS),
    "big-endian": LABELS.astype(">i4"),
}


def as_numpy_1(content: bytes) -> bytes:
    """The pickle in NumPy 1's form, if that changes no length that the pickle contains."""
    return content.replace(b"cnumpy._core.", b"cnumpy.core.")


@pytest.mark.parametrize("protocol", range(6))
@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("keys", [str, str.encode])
@pytest.mark.parametrize("order", ["C", "F"])
def test_batches_of_any_version(tmp_path, protocol, form, keys, order):
    content = {"data": np.asarray(PIXELS, order=order), "labels": FORMS[form], "batch_label": b"", "filenames": ["a"]}
    raw = pickle.dumps({keys(key): value for key, value in content.items()}, protocol=protocol)
    for written in (raw, as_numpy_1(raw)):
        (tmp_path / "batch").write_bytes(written)
        batch = read_python_batch(CIFAR10_LAYOUT, tmp_path / "batch")
        np.testing.assert_array_equal(batch.images.reshape(10, -1), PIXELS)
        np.testing.assert_array_equal(batch.labels, LABELS)


@pytest.mark.parametrize("protocol", [4, 5])
@pytest.mark.parametrize("value", [np.arange(3), np.int64(7)])
def test_modules_of_numpy_1_in_late_protocols(protocol, value):
    new = value.__reduce_ex__(protocol)[0].__module__.encode()
    old = new.replace(b"numpy._core", b"numpy.core")
    content = pickle.dumps(value, protocol=protocol)
    content = content.replace(b"\x8c" + bytes([len(new)]) + new, b"\x8c" + bytes([len(old)]) + old)
    without_frame = content[:2] + content[11:]
    assert content[2:3] == b"\x95"
    assert old in without_frame
    np.testing.assert_array_equal(load_arrays(without_frame), value)


def test_dtypes_of_python_2_give_no_warning():
    content = pickle.dumps({b"data": PIXELS}, protocol=2).replace(b"\x89\x88\x87", b"K\x00K\x01\x87")
    np.testing.assert_array_equal(load_arrays(content)[b"data"], PIXELS)


@pytest.mark.parametrize("shape", [(10, 3, 32, 32), (10, 32, 32, 3)])
def test_images_that_were_reshaped(tmp_path, shape):
    images = PIXELS.reshape(10, 3, 32, 32)
    stored = images if shape[1] == 3 else images.transpose(0, 2, 3, 1)
    (tmp_path / "batch").write_bytes(pickle.dumps({"data": stored, "labels": LABELS}))
    np.testing.assert_array_equal(read_python_batch(CIFAR10_LAYOUT, tmp_path / "batch").images, images)


def test_training_takes_fortran_order(tmp_path):
    for name in (*(f"data_batch_{i}" for i in range(1, 6)), "test_batch"):
        content = {"data": np.asfortranarray(PIXELS), "labels": LABELS}
        (tmp_path / name).write_bytes(pickle.dumps(content, protocol=4))
    loader = create_loader("cifar10", tmp_path, train=False)
    np.testing.assert_array_equal(loader.images.flatten(1), PIXELS)


class Command:
    def __reduce__(self):
        return os.mkdir, ("exploited",)


class Evaluated:
    def __reduce__(self):
        return eval, ("__import__('os').mkdir('exploited')",)


@pytest.mark.parametrize("protocol", range(6))
@pytest.mark.parametrize("thing", [Command(), Evaluated(), pickle.loads, np.memmap, Path("x")])
def test_nothing_is_executed_or_looked_up(tmp_path, monkeypatch, protocol, thing):
    monkeypatch.chdir(tmp_path)
    for content in ({"data": thing}, {"data": np.array([thing], dtype=object)}):
        with pytest.raises(pickle.UnpicklingError, match=r"refers to .*, which a batch of images does not need"):
            load_arrays(pickle.dumps(content, protocol=protocol))
    assert not Path("exploited").exists()


@given(data=st.data(), protocol=st.sampled_from([0, 2, 4, 5]))
def test_a_flipped_byte_is_read_or_refused(tmp_path_factory, data, protocol):
    path = tmp_path_factory.mktemp("flipped") / "batch"
    content = bytearray(pickle.dumps({"labels": [1, 2], "data": PIXELS[:2]}, protocol=protocol))
    start = content.index(PIXELS[:1].tobytes()[:16]) if protocol == 5 else len(content)
    content[data.draw(st.integers(0, min(start, 200) - 1))] ^= data.draw(st.integers(1, 255))
    path.write_bytes(content)
    try:
        batch = read_python_batch(CIFAR10_LAYOUT, path)
    except InputError as error:
        refused = str(error)
    else:
        assert batch.images.shape == (len(batch.labels), 3, 32, 32)
        return
    assert str(path) in refused


@pytest.mark.parametrize("protocol", range(6))
@pytest.mark.parametrize("thing", [Objects(), Number()])
def test_no_bytes_are_taken_as_addresses(protocol, thing):
    with pytest.raises(pickle.UnpicklingError):
        load_arrays(pickle.dumps({"data": thing}, protocol=protocol))


class Call:
    """A call of an object that a pickle may look up, with arguments that take much time or memory."""

    def __init__(self, function, *arguments):
        self.called = function, arguments

    def __reduce__(self):
        return self.called


@pytest.mark.parametrize(
    "thing",
    [
        Call(bytes, 1 << 60),
        Call(bytearray, 1 << 60),
        Call(codecs.encode, "x", "punycode"),
        Call(np.dtype, "V99999"),
        Call(np.dtype, "M8"),
        Call(np.ndarray, (1 << 40,)),
    ],
)
def test_calls_make_plain_values_alone(thing):
    with pytest.raises(pickle.UnpicklingError, match="it holds"):
        load_arrays(pickle.dumps([thing], protocol=2))


def test_a_far_place_in_the_memory_takes_no_memory():
    tracemalloc.start()
    assert load_arrays(b"\x80\x02Nr\xff\xff\xff\x7f.") is None
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 1 << 20


NESTED = b"N" + b"2\x86" * 64
"""A tuple of twice the same tuple, and so on: walking through it takes 2⁶⁴ steps."""


def test_a_tuple_is_no_key():
    with pytest.raises(pickle.UnpicklingError, match="a tuple as a key"):
        load_arrays(b"}" + NESTED + b"Ns.")


def test_labels_are_numbers(tmp_path):
    data = pickle.dumps(PIXELS[:1], protocol=2)[2:-1]
    (tmp_path / "batch").write_bytes(b"}(X\4\0\0\0data" + data + b"X\6\0\0\0labels" + NESTED + b"u.")
    with pytest.raises(InputError, match=r'batch: "labels" must be whole numbers'):
        read_python_batch(CIFAR10_LAYOUT, tmp_path / "batch")


@pytest.mark.parametrize(
    "content", [b"0.", b"N(0.", b"t.", b"\x86.", b"Ns.", b"(N.", b"h\7.", b"Na.", b"NR.", b"Nb.", b"Q.", b"V"]
)
def test_damage_is_an_error(tmp_path, content):
    (tmp_path / "batch").write_bytes(content)
    with pytest.raises(InputError, match="batch: not a CIFAR-10 batch"):
        read_python_batch(CIFAR10_LAYOUT, tmp_path / "batch")


def test_strings_of_python_2_in_every_form():
    assert load_arrays(b"(S'\\xff\\x00a'\nU\2\xfe\0T\1\0\0\0b]t.") == (b"\xff\0a", b"\xfe\0", b"b", [])
