"""The user's own data sets by name, and the one function that turns a name into a data set."""

import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from clif.data import DATASETS, Arrays, DataOptions, Dataset, create_loader, get_dataset, open_dataset, register_dataset
from clif.data.base import Source, Split
from clif.data.check import check_files
from clif.data.description import read_record, record
from clif.data.registry import lies_in_folder
from clif.errors import InputError
from clif.train.config import resolve


@pytest.fixture(autouse=True)
def own_registry(monkeypatch):
    monkeypatch.setattr("clif.data.registry.DATASETS", dict(DATASETS))


def read(_root, train):
    images = np.zeros((40 if train else 20, 1, 32, 32), np.uint8)
    images[::2, :, ::4] = 200
    return Arrays(images, np.arange(len(images)) % 2)


def stripes():
    return Dataset("other", ("striped", "plain"), 1, 32, needs_root=False, read=read)


def test_a_set_without_a_folder():
    register_dataset("Stripes")(stripes)
    dataset = get_dataset("STRIPES")
    assert (dataset.name, dataset.num_classes, lies_in_folder("stripes")) == ("stripes", 2, False)
    loader = create_loader("stripes", batch_size=40)
    images, labels = next(iter(loader))
    assert images.shape == (40, 1, 32, 32)
    assert labels.bincount().tolist() == [20, 20]
    assert abs(float(images.mean())) < 1e-4
    values = torch.from_numpy(read(None, True).images) / 255
    assert loader.dataset.mean == pytest.approx([values.mean().item()])
    assert loader.dataset.std == pytest.approx([values.std(correction=0).item()])
    assert create_loader("stripes", train=False).dataset.mean == loader.dataset.mean
    assert resolve(dataset="Stripes").dataset == "stripes"


def test_a_set_that_its_folder_describes(tmp_path):
    @register_dataset
    def lines(root, options):
        classes = options.classes or tuple((root / "classes.txt").read_text().split())
        return Dataset("lines", classes, 1, options.image_size or 32, read=read)

    (tmp_path / "classes.txt").write_text("yes no")
    dataset = open_dataset("lines", tmp_path, DataOptions(image_size=16))
    assert (dataset.classes, dataset.image_size, dataset.name) == (("yes", "no"), 16, "lines")
    (tmp_path / "classes.txt").write_text("no yes")
    trained = open_dataset("lines", tmp_path, trained=dataset)
    assert (trained.classes, trained.image_size) == (dataset.classes, 16)
    with pytest.raises(InputError, match="lines needs its folder"):
        open_dataset("lines")


def test_classes_that_are_not_those_of_the_training_are_refused(tmp_path):
    @register_dataset("lines")
    def lines(_root, _options):
        return stripes()

    other = Dataset("lines", ("plain", "striped"), 1, 32)
    with pytest.raises(InputError, match="trained on 2, or on other classes or in another order"):
        open_dataset("lines", tmp_path, trained=other)


def test_the_same_function_again_replaces_it():
    def make(size):
        def lines():
            return Dataset("", ("a",) * size, 1, 32, read=read)

        return lines

    register_dataset(make(1))
    register_dataset(make(2))
    assert get_dataset("lines").num_classes == 2


@pytest.mark.parametrize("name", ["digits", "Images", "CIFAR10"])
def test_a_name_that_is_taken_is_refused(name):
    with pytest.raises(InputError, match=rf"the name '{name.lower()}' is taken by"):
        register_dataset(name)(stripes)


@pytest.mark.parametrize(
    ("thing", "message"),
    [
        (3, r"takes a function without arguments, or of root and options"),
        (lambda root: root, r"takes a function without arguments, or of root and options"),
    ],
)
def test_what_is_no_function_of_a_set_is_refused(thing, message):
    with pytest.raises(InputError, match=message):
        register_dataset("mine")(thing)


@pytest.mark.parametrize(
    ("returned", "message"),
    [
        (3, "the function of the data set mine returned 3, not a clif.data.Dataset"),
        (Dataset("mine", ("a",), 1, 8), "the data set mine must have either read or find"),
    ],
)
def test_what_the_function_returns_is_checked(returned, message):
    register_dataset("mine")(lambda: returned)
    with pytest.raises(InputError, match=message):
        open_dataset("mine")


def test_an_option_without_effect_is_refused():
    open_dataset("digits", options=DataOptions(split_seed=3))
    for option in ({"image_size": 16}, {"in_channels": 1}, {"resize": "stretch"}, {"test_split": 0.5}):
        with pytest.raises(InputError, match=f"{next(iter(option))} has no effect on the data set digits"):
            open_dataset("digits", options=DataOptions(**option))


@pytest.mark.parametrize(("channels", "size", "events"), [(1, 32, False), (3, (24, 32), False), (2, (24, 32), True)])
def test_a_set_that_its_folder_describes_may_use_no_option(tmp_path, channels, size, events):
    """The options that a trained network brings along are not the user's, who could not leave them out."""

    @register_dataset("lines")
    def lines(_root, options):
        options.allow("lines", "classes")
        mean = () if events else (0.5,) * channels
        return Dataset("lines", ("yes", "no"), channels, size, events=events, mean=mean, std=mean, read=read)

    trained = read_record(record(open_dataset("lines", tmp_path)), "run")
    assert open_dataset("lines", tmp_path, trained=trained).image_size == size
    assert open_dataset("lines", tmp_path, DataOptions(split_seed=3)).image_size == size
    with pytest.raises(InputError, match="resize has no effect on the data set lines"):
        open_dataset("lines", tmp_path, DataOptions(resize="stretch"))


def test_classes_and_statistics_may_be_any_sequence(tmp_path):
    @register_dataset("lines")
    def lines(_root, _options):
        return Dataset("lines", [0, 1], 1, [32, 32], mean=np.array([0.5]), std=[1], read=read)

    dataset = open_dataset("lines", tmp_path)
    assert (dataset.classes, dataset.image_size, dataset.mean, dataset.std) == (("0", "1"), 32, (0.5,), (1.0,))
    assert open_dataset("lines", tmp_path, trained=read_record(record(dataset), "run")) == dataset


@pytest.mark.parametrize(
    ("images", "labels"),
    [
        (torch.zeros(4, 1, 8, 8, dtype=torch.uint8), torch.tensor([0, 1, 0, 1])),
        (np.zeros((4, 1, 8, 8), np.uint8), [0, 1, 0, 1]),
        (np.zeros((4, 1, 8, 8), np.uint8), np.array([0, 1, 0, 1], np.uint8)),
    ],
)
def test_arrays_of_other_kinds_are_taken(images, labels):
    register_dataset("mine")(
        lambda: Dataset("mine", ("a", "b"), 1, 8, needs_root=False, read=lambda *_: Arrays(images, labels))
    )
    loader = create_loader("mine", shuffle=False)
    assert (loader.labels.dtype, loader.labels.tolist()) == (torch.int64, [0, 1, 0, 1])
    assert next(iter(loader))[0].shape == (4, 1, 8, 8)


def test_arrays_in_any_order_of_memory_are_taken():
    pixels = np.random.default_rng(0).integers(0, 256, (4, 3, 8, 8), np.uint8)
    records = np.zeros(4, [("id", "u1"), ("image", "u1", (3, 8, 8)), ("label", ">i4")])
    records["image"], records["label"] = pixels[:, ::-1], [0, 1, 1, 0]
    for images, labels in ((pixels[:, ::-1], np.array([0, 1, 1, 0])[::-1]), (records["image"], records["label"])):
        arrays = Arrays(images, labels)
        dataset = Dataset("mine", ("a", "b"), 3, 8, needs_root=False, read=lambda *_, arrays=arrays: arrays)
        loader = create_loader(dataset)
        assert loader.labels.tolist() == [0, 1, 1, 0]
        np.testing.assert_array_equal(loader.images, pixels[:, ::-1])


def test_images_that_are_mapped_to_be_read_only_are_taken_without_a_warning(tmp_path):
    np.save(tmp_path / "images.npy", np.full((4, 1, 8, 8), 7, np.uint8))
    images = np.load(tmp_path / "images.npy", mmap_mode="r")
    dataset = Dataset("mine", ("a", "b"), 1, 8, needs_root=False, read=lambda *_: Arrays(images, LABELS))
    loader = create_loader(dataset)
    assert loader.images.data_ptr() == images.ctypes.data
    assert (next(iter(loader))[0] < 10).all()


@pytest.mark.parametrize("dtype", ["uint16", ">u2", ">i2", "uint32", "uint64", "int8", ">f4", "longdouble"])
def test_frames_of_any_type_of_numbers_are_augmented(dtype, tmp_path):
    counts = np.arange(4 * 3 * 2 * 8 * 8).reshape(4, 3, 2, 8, 8) % 120
    frames = counts.astype(dtype)
    source = Source(tmp_path / "a", (0, 1, 0, 1), lambda: frames)
    split = Split(tmp_path, "mine-train", "x", frames.shape[1:], frames.dtype.str, [source])
    for way in ({"read": lambda *_: Arrays(frames, LABELS)}, {"find": lambda *_: split}):
        dataset = Dataset("mine", ("a", "b"), 2, 8, events=True, needs_root=False, **way)
        images, _ = next(iter(create_loader(dataset, T=3, shuffle=False, augmentation="flip,crop:2,rotate,cutout")))
        assert (images.dtype, images.shape) == (torch.float32, (3, 4, 2, 8, 8))
        images, _ = next(iter(create_loader(dataset, T=3, shuffle=False, augment=False)))
        np.testing.assert_array_equal(images.transpose(0, 1), counts)


def test_counts_that_are_too_large_are_refused():
    frames = np.full((4, 3, 2, 8, 8), 40_000, np.uint16)
    dataset = Dataset("mine", ("a", "b"), 2, 8, events=True, needs_root=False, read=lambda *_: Arrays(frames, LABELS))
    with pytest.raises(InputError, match="a count of mine is 40000, but 32767 is the maximum for samples in uint16"):
        create_loader(dataset, T=3)


IMAGES = np.zeros((4, 1, 8, 8), np.uint8)
LABELS = np.array([0, 1, 0, 1])


@pytest.mark.parametrize(
    ("found", "message"),
    [
        ((IMAGES, LABELS), r"read of the data set mine must return clif\.data\.Arrays, got tuple"),
        (Arrays(IMAGES / 255, LABELS), r"each sample of mine must be uint8 \[1, 8, 8\], got float64 \[1, 8, 8\]"),
        (Arrays(IMAGES[:, 0], LABELS), r"must be uint8 \[1, 8, 8\], got uint8 \[8, 8\]"),
        (Arrays(IMAGES.transpose(0, 2, 3, 1), LABELS), r"must be uint8 \[1, 8, 8\], got uint8 \[8, 8, 1\]"),
        (Arrays(IMAGES[..., :7], LABELS), r"must be uint8 \[1, 8, 8\], got uint8 \[1, 8, 7\]"),
        (Arrays(IMAGES, LABELS + 1), r"the labels of mine are 1 to 2; those of its 2 classes must be 0 to 1"),
        (Arrays(IMAGES, LABELS - 1), r"the labels of mine are -1 to 0"),
        (Arrays(IMAGES, LABELS[:3]), r"one for each of its 4 samples, got int64 \[3\]"),
        (Arrays(IMAGES, LABELS * 1.0), r"must be whole numbers, one for each of its 4 samples, got float64 \[4\]"),
        (Arrays(IMAGES, np.eye(2, dtype=int)[LABELS]), r"got int64 \[4, 2\]"),
        (Arrays(IMAGES[:0], LABELS[:0]), r"mine has no training samples"),
    ],
)
def test_what_read_returns_is_checked(found, message, tmp_path):
    register_dataset("mine")(lambda: Dataset("mine", ("a", "b"), 1, 8, needs_root=False, read=lambda *_: found))
    with pytest.raises(InputError, match=message):
        create_loader("mine")
    train, _ = check_files(get_dataset("mine"), tmp_path, T=1)
    assert re.search(message, train.damaged[0])


def test_frames_of_events_are_checked():
    def mine():
        return Dataset("mine", ("a", "b"), 2, 8, events=True, needs_root=False, read=lambda *_: Arrays(frames, LABELS))

    register_dataset("mine")(mine)
    frames = np.ones((4, 3, 2, 8, 8), np.float32)
    assert next(iter(create_loader("mine", T=3)))[0].shape == (3, 4, 2, 8, 8)
    frames = frames[:, 0]
    with pytest.raises(
        InputError, match=r"each sample of mine must be numbers \[T, 2, 8, 8\], got float32 \[2, 8, 8\]"
    ):
        create_loader("mine", T=3)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"shape": (1, 8, 9)}, r"each sample of mine must be uint8 \[1, 8, 8\], got uint8 \[1, 8, 9\]"),
        ({"dtype": "float32"}, r"must be uint8 \[1, 8, 8\], got float32 \[1, 8, 8\]"),
        ({"sources": [Source(Path("a"), (2,), lambda: IMAGES[:1])]}, "the labels of mine are 2 to 2"),
    ],
)
def test_what_find_returns_is_checked(change, message):
    split = Split(Path(), "mine-train", "", (1, 8, 8), "uint8", [Source(Path("a"), (0,), lambda: IMAGES[:1])])
    register_dataset("mine")(
        lambda: Dataset("mine", ("a", "b"), 1, 8, needs_root=False, find=lambda *_: replace(split, **change))
    )
    with pytest.raises(InputError, match=message):
        create_loader("mine")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            {"mean": (0.5,), "std": (0.5,)},
            "mean and std of the data set mine must have a value for each of its channels",
        ),
        ({"mean": (0.5,) * 3}, "mean and std of the data set mine must have a value for each of its channels"),
        ({"image_size": 0}, "image_size of the data set mine must be a whole number of pixels"),
    ],
)
def test_what_describes_a_set_is_checked(change, message):
    register_dataset("mine")(lambda: replace(Dataset("mine", ("a", "b"), 3, 8, read=read), **change))
    with pytest.raises(InputError, match=message):
        get_dataset("mine")


def test_frames_of_another_number_than_T_are_refused():
    frames = np.zeros((4, 8, 2, 8, 8), np.int16)

    @register_dataset
    def moves():
        return Dataset("moves", ("a", "b"), 2, 8, events=True, needs_root=False, read=lambda *_: Arrays(frames, LABELS))

    assert create_loader("moves", T=8).num_samples == 4
    with pytest.raises(InputError, match=r"the samples of moves have 8 frames, not T=4; give T=8 \(-T 8\)"):
        create_loader("moves", T=4)
