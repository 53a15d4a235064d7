"""The user's own data sets by name, and the one function that turns a name into a data set."""

import numpy as np
import pytest
import torch

from clif.data import DATASETS, Arrays, DataOptions, Dataset, create_loader, get_dataset, open_dataset, register_dataset
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
        open_dataset("lines", tmp_path, DataOptions(resize="stretch"), trained=None)
