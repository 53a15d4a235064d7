"""Incomplete sets: an error that lists the missing parts, or a line if that is allowed; a line for fewer samples."""

import shutil

import pytest
from people import WRITERS, write_cifar10dvs, write_gesture, write_nmnist, write_tiny
from writers import aedat3, make_events

from clif.cli import main
from clif.data import complete, create_loader
from clif.errors import MissingFileError


@pytest.fixture(autouse=True)
def _nothing_said(monkeypatch):
    monkeypatch.setattr(complete, "_said", set())


def test_a_class_that_is_missing_is_named(tmp_path, caplog):
    write_cifar10dvs(tmp_path)
    for name in ("bird", "ship"):
        shutil.rmtree(tmp_path / name)
    for train in (True, False):
        with pytest.raises(MissingFileError, match=r"not complete: no sample of bird, ship; .*--allow-incomplete"):
            create_loader("cifar10dvs", tmp_path, train=train, T=2)
    loader = create_loader("cifar10dvs", tmp_path, train=False, T=2, allow_incomplete=True)
    assert loader.labels.tolist() == [0, 1, 3, 4, 5, 6, 7, 9]
    assert [line for line in caplog.messages if "no sample of bird, ship" in line] == [
        f"cifar10dvs test in {tmp_path} is not complete: no sample of bird, ship"
    ]


@pytest.mark.parametrize(("name", "classes"), [("cifar10", 10), ("cifar100", 100), ("nmnist", 10), ("dvs_gesture", 11)])
def test_whole_sets_are_complete_and_small_ones_said_so(name, classes, tmp_path, caplog):
    sizes = WRITERS[name][1](tmp_path / "set")
    for _ in range(2):
        loader = create_loader(name, tmp_path, T=2)
    assert sorted(set(loader.labels.tolist())) == list(range(classes))
    (line,) = caplog.messages
    assert line.startswith(f"{name} train in ")
    assert f"has {sizes[0]} samples" in line


def test_other_processes_say_nothing(tmp_path, caplog):
    write_nmnist(tmp_path)
    create_loader("nmnist", tmp_path, T=2, rank=1, world_size=2)
    assert caplog.messages == []


def test_files_that_lists_name(tmp_path, caplog):
    write_tiny(tmp_path / "tiny-imagenet-200")
    for number in (1, 4):
        (tmp_path / "tiny-imagenet-200" / "val" / "images" / f"val_{number}.JPEG").unlink()
    with pytest.raises(MissingFileError, match=r"val_1\.JPEG, which .*val_4\.JPEG, which"):
        create_loader("tiny_imagenet", tmp_path, train=False)
    loader = create_loader("tiny_imagenet", tmp_path, train=False, allow_incomplete=True)
    assert loader.labels.tolist() == [0, 1, 1, 2]
    assert "val_4.JPEG, which val_annotations.txt names, is missing" in caplog.messages[0]


def test_recordings_that_trials_name(tmp_path):
    write_gesture(tmp_path)
    (tmp_path / "user01_led.aedat").unlink()
    with pytest.raises(MissingFileError, match=r"user01_led\.aedat, which trials_to_train\.txt names"):
        create_loader("dvs_gesture", tmp_path)
    assert create_loader("dvs_gesture", tmp_path, T=2, allow_incomplete=True).num_samples == 11
    (tmp_path / "user02_led_labels.csv").unlink()
    with pytest.raises(MissingFileError, match=r"has no recording: .*user01_led\.aedat.*user02_led_labels\.csv"):
        create_loader("dvs_gesture", tmp_path, allow_incomplete=True)
    (tmp_path / "trials_to_test.txt").unlink()
    with pytest.raises(MissingFileError, match=r"trials_to_test\.txt is missing beside user01_led_labels\.csv"):
        create_loader("dvs_gesture", tmp_path, train=False)


def test_long_lists_are_shortened(tmp_path):
    write_tiny(tmp_path, tuple(f"n{i:02d}" for i in range(30)))
    shutil.rmtree(tmp_path / "val" / "images")
    with pytest.raises(MissingFileError, match="has no images"):
        create_loader("tiny_imagenet", tmp_path, train=False)
    assert complete.shortened([str(i) for i in range(22)], ", ").endswith("19 and 2 more")


def test_check_and_prepare(tmp_path, capsys):
    write_cifar10dvs(tmp_path)
    shutil.rmtree(tmp_path / "dog")
    arguments = ["cifar10dvs", "-data_dir", str(tmp_path), "-T", "2", "--quiet"]
    assert main(["data", "check", *arguments]) == 1
    assert "missing: no sample of dog" in capsys.readouterr().out
    assert main(["data", "check", *arguments, "--allow-incomplete"]) == 0
    assert "not there: no sample of dog" in capsys.readouterr().out
    assert main(["data", "prepare", *arguments]) == 2
    assert "no sample of dog; " in capsys.readouterr().err
    assert not (tmp_path / ".clif-cache").exists()
    assert main(["data", "prepare", *arguments, "-allow_incomplete"]) == 0
    assert main(["data", "download", *arguments, "-allow_incomplete"]) == 2


def test_training_and_sorting(tmp_path, capsys):
    write_gesture(tmp_path)
    events = make_events(1_100, seed=1)
    events["t"][[500, 501]] = events["t"][[501, 500]] + [1, 0]
    (tmp_path / "user01_led.aedat").write_bytes(aedat3(events))
    line = [
        "train",
        "-dataset",
        "dvsgesture",
        "-data_dir",
        str(tmp_path),
        "-out_dir",
        str(tmp_path / "logs"),
        "-T",
        "1",
    ]
    assert main([*line, "--quiet"]) == 2
    assert "--sort-events" in capsys.readouterr().err
    assert create_loader("dvs_gesture", tmp_path, T=1, sort_events=True).num_samples == 22
    assert [path.name[:36] for path in (tmp_path / ".clif-cache").iterdir()] == ["dvs_gesture-train-T1-128x128-sorted-"]


def test_images_have_no_events_to_sort(capsys):
    assert main(["data", "check", "digits", "--sort-events"]) == 2
    assert "digits has images instead of events; leave out --sort-events" in capsys.readouterr().err
