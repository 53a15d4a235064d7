"""The description of the data in a checkpoint: it is read as it was written, and errors name damage."""

from dataclasses import replace

import numpy as np
import pytest

from clif.data import DataOptions, Dataset, get_dataset
from clif.data.description import read_record, record, trained_on
from clif.data.event_folder import describe_events
from clif.data.sample import read_sample
from clif.errors import InputError

OWN = Dataset("images", ("a", "b", "c"), 1, 24, mean=(0.25,), std=(0.5,), resize="stretch")


WIDE = DataOptions(sensor_size="40x30", split_by="time", time_unit="ms", classes=("a", "b"))
RECORDINGS = describe_events(WIDE)


@pytest.mark.parametrize("dataset", [OWN, RECORDINGS, get_dataset("digits"), get_dataset("dvs_gesture")])
def test_what_is_recorded_is_read_again(dataset):
    content = record(dataset)
    assert record(read_record(content, "run")) == content
    assert content["classes"] == list(dataset.classes)


def test_images_need_no_folder_after_training(tmp_path):
    options = DataOptions()
    assert trained_on(record(OWN), "images", tmp_path / "gone", options, "run") == OWN
    with pytest.raises(InputError, match="neither a folder nor a table"):
        trained_on(None, "images", tmp_path / "gone", options, "run")


def test_recordings_need_no_folder_and_their_files_may_differ(tmp_path):
    np.savez(tmp_path / "a.npz", t=[0, 1, 2, 3], x=[0, 1, 2, 39], y=[0, 1, 2, 29], p=[0, 1, 0, 1])
    trained = trained_on(record(RECORDINGS), "events", tmp_path / "gone", replace(WIDE, time_unit="us"), "run")
    assert (trained.classes, trained.image_size, trained.recordings) == (
        ("a", "b"),
        (30, 40),
        replace(WIDE, time_unit="us"),
    )
    assert read_sample(trained, tmp_path / "a.npz", 2).shape == (2, 2, 30, 40)
    without_unit = trained_on(record(RECORDINGS), "events", tmp_path / "gone", replace(WIDE, time_unit=""), "run")
    with pytest.raises(InputError, match="does not store the unit of its times"):
        read_sample(without_unit, tmp_path / "a.npz", 2)


@pytest.mark.parametrize(
    "change", [{"sensor_size": "wide"}, {"split_by": "size"}, {"duration": "x"}, {"image_size": -1}]
)
def test_a_damaged_record_of_recordings_is_named(change):
    content = record(RECORDINGS)
    for recordings in ({**content["recordings"], **change}, {"sensor_size": "40x30"}, 3):
        with pytest.raises(InputError, match="run: its description of the data is damaged"):
            read_record({**content, "recordings": recordings}, "run")


def test_a_set_that_is_the_same_everywhere_keeps_its_readers(tmp_path):
    dataset = get_dataset("dvs_gesture")
    assert trained_on(record(dataset), "dvs_gesture", tmp_path, DataOptions(), "run") is dataset
    assert trained_on(record(OWN), "digits", tmp_path, DataOptions(), "run") is get_dataset("digits")


@pytest.mark.parametrize("option", [{"test_split": 0.5}, {"columns": "x,y,t,p"}])
def test_a_set_that_is_the_same_everywhere_takes_no_options(option, tmp_path):
    digits = record(get_dataset("digits"))
    with pytest.raises(InputError, match=f"{next(iter(option))} has no effect on the data set digits"):
        trained_on(digits, "digits", tmp_path, DataOptions(**option), "run")


@pytest.mark.parametrize(
    "change",
    [
        {"classes": 3},
        {"mean": [0.5, 0.5]},
        {"std": ["x"]},
        {"image_size": "24"},
        {"image_size": [24, 0]},
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
