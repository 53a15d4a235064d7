"""What a checkpoint keeps of the data: read again as it was written, and damage is named."""

import pytest

from clif.data import DataOptions, Dataset, get_dataset
from clif.data.description import read_record, record, trained_on
from clif.errors import InputError

OWN = Dataset("images", ("a", "b", "c"), 1, 24, mean=(0.25,), std=(0.5,), resize="stretch")


@pytest.mark.parametrize("dataset", [OWN, get_dataset("digits"), get_dataset("dvs_gesture")])
def test_what_is_recorded_is_read_again(dataset):
    content = record(dataset)
    assert record(read_record(content, "run")) == content
    assert content["classes"] == list(dataset.classes)


def test_images_need_no_folder_after_training(tmp_path):
    options = DataOptions()
    assert trained_on(record(OWN), "images", tmp_path / "gone", options, "run") == OWN
    with pytest.raises(InputError, match="neither a folder nor a table"):
        trained_on(None, "images", tmp_path / "gone", options, "run")


def test_a_set_that_is_the_same_everywhere_keeps_its_readers(tmp_path):
    dataset = get_dataset("dvs_gesture")
    assert trained_on(record(dataset), "dvs_gesture", tmp_path, DataOptions(), "run") is dataset
    assert trained_on(record(OWN), "digits", tmp_path, DataOptions(), "run") is get_dataset("digits")


@pytest.mark.parametrize(
    "change",
    [
        {"classes": 3},
        {"mean": [0.5, 0.5]},
        {"std": ["x"]},
        {"image_size": "24"},
        {"events": None},
        {"name": 3},
        {"mean": []},
    ],
)
def test_a_damaged_record_is_named(change):
    with pytest.raises(InputError, match="run: its description of the data is damaged"):
        read_record({**record(OWN), **change}, "run")
    with pytest.raises(InputError, match="run: its description of the data is damaged"):
        read_record({key: value for key, value in record(OWN).items() if key not in change}, "run")
