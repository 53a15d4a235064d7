"""The user's own recordings: layouts, mixed formats, sensors that are not square, frames, and damage."""

from pathlib import Path

import numpy as np
import pytest
import torch
from writers import aedat2, aedat3, dat, make_events, nmnist, structured, text

from clif.data import DataOptions, create_loader, get_dataset, open_dataset
from clif.data.check import check_files, prepare_files
from clif.data.events import integrate
from clif.data.sample import read_sample
from clif.errors import InputError, MissingFileError

WIDE = DataOptions(sensor_size="40x30")


def recording(seed: int, n: int = 60) -> dict:
    """Events on 40×30 pixels."""
    events = make_events(n, 30, seed=seed)
    return events | {"x": events["x"] + seed % 10}


def write(path: Path, events: dict) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix == ".npy":
        np.save(path, structured(events))
    elif path.suffix == ".npz":
        np.savez(path, **events)
    elif path.suffix in (".csv", ".txt"):
        path.write_bytes(text(events, "txyp"))
    else:
        path.write_bytes({".dat": dat, ".aedat": aedat2, ".bin": nmnist}[path.suffix](events))
    return path


def write_set(root: Path, counts: dict[str, int], suffix: str = ".npz") -> Path:
    for number, (folder, count) in enumerate(counts.items()):
        for i in range(count):
            write(root / folder / f"{i:03d}{suffix}", recording(10 * number + i))
    return root


def frames_of(root: Path, options: DataOptions = WIDE, T: int = 4, **reading) -> torch.Tensor:
    """The training samples [n, T, 2, H, W] as stored."""
    return create_loader("events", root, T=T, augment=False, shuffle=False, options=options, **reading).images


def test_parts_classes_and_frames(tmp_path):
    root = write_set(tmp_path, {"train/wave": 3, "train/clap": 2, "test/wave": 1, "test/clap": 2})
    dataset = open_dataset("events", root, WIDE)
    assert (dataset.classes, dataset.in_channels, dataset.image_size) == (("clap", "wave"), 2, (30, 40))
    loader = create_loader("events", root, batch_size=8, T=4, options=WIDE, shuffle=False)
    x, y = next(iter(loader))
    assert (x.shape, y.tolist()) == ((4, 5, 2, 30, 40), [0, 0, 1, 1, 1])
    np.testing.assert_array_equal(x[:, 0].numpy(), integrate(recording(10), 4, 30, 40))
    assert create_loader("events", root, train=False, T=4, options=WIDE).labels.tolist() == [0, 0, 1]


def test_a_split_is_drawn_where_there_is_none(tmp_path):
    root = write_set(tmp_path / "packed" / "mine", {"a": 10, "b": 5})
    (root / "labels.csv").write_text("not a recording")
    parts = {}
    for seed in (0, 1):
        options = DataOptions(sensor_size="40x30", split_seed=seed)
        loaders = [create_loader("events", tmp_path / "packed", train, T=1, options=options) for train in (True, False)]
        assert [loader.labels.bincount().tolist() for loader in loaders] == [[8, 4], [2, 1]]
        parts[seed] = loaders[1].images.clone()
    assert not torch.equal(parts[0], parts[1])


def test_formats_beside_each_other_give_the_same_frames(tmp_path):
    """The bytes of N-MNIST and AEDAT 2.0 are for 34×34 and 128×128 pixels."""
    for suffix in (".npz", ".npy", ".csv", ".txt", ".dat", ".bin"):
        write(tmp_path / "mixed" / "a" / f"x{suffix}", make_events(60, 30))
    write(tmp_path / "mixed" / "b" / "0.npz", make_events(60, 30, seed=1))
    write(tmp_path / "mixed" / "b" / "1.npz", make_events(60, 30, seed=1))
    options = DataOptions(sensor_size="40x30", test_split=0.01)
    frames = frames_of(tmp_path / "mixed", options)
    assert len(frames) == 5 + 1
    assert (frames[:5] == frames[0]).all()


def test_the_sensor_is_that_of_the_file_or_asked_for(tmp_path):
    root = write_set(tmp_path / "tables", {"a": 2, "b": 2})
    with pytest.raises(InputError, match=r"000\.npz: does not store the size of its sensor; .* --sensor-size 346x260"):
        open_dataset("events", root)
    camera = write_set(tmp_path / "camera", {"a": 2, "b": 2}, ".aedat")
    assert open_dataset("events", camera).image_size == 128
    with pytest.raises(InputError, match="is from a sensor of 128x128 pixels according to its header, not of 40x30"):
        open_dataset("events", camera, WIDE)
    write(tmp_path / "dat" / "a" / "0.dat", recording(0)).write_bytes(dat(recording(0), size=(40, 30)))
    write(tmp_path / "dat" / "b" / "0.dat", recording(1))
    assert open_dataset("events", tmp_path / "dat").image_size == (30, 40)
    (tmp_path / "gesture" / "a").mkdir(parents=True)
    (tmp_path / "gesture" / "b").mkdir()
    for name in "ab":
        (tmp_path / "gesture" / name / "0.aedat").write_bytes(aedat3(recording(1)))
    assert open_dataset("events", tmp_path / "gesture").image_size == 128


def test_recordings_of_n_caltech101_ask_for_their_sensor(tmp_path):
    for path in (tmp_path / "a" / "0.bin", tmp_path / "b" / "0.bin"):
        path.parent.mkdir()
        path.write_bytes(nmnist(make_events(90, 170)))
    with pytest.raises(InputError, match=r"outside the 34×34 pixels .*; .* give its size by --sensor-size"):
        open_dataset("events", tmp_path)
    assert open_dataset("events", tmp_path, DataOptions(sensor_size="240x180")).image_size == (180, 240)


def test_frames_by_time_and_of_a_duration(tmp_path):
    events = recording(0) | {"t": np.sort(np.arange(60) % 37) * 10}
    for name in ("a", "b"):
        for i in range(2):
            write(tmp_path / name / f"{i}.npz", events)
    options = {"sensor_size": "40x30", "split_by": "time"}
    with pytest.raises(InputError, match=r"0\.npz: does not store the unit of its times, which frames by time need"):
        frames_of(tmp_path, DataOptions(**options))
    frames = frames_of(tmp_path, DataOptions(**options, time_unit="ms"))
    np.testing.assert_array_equal(frames[0], integrate(events | {"t": 1000 * events["t"]}, 4, 30, 40, "time"))
    options |= {"split_by": "duration", "duration": 100_000}
    in_ms = frames_of(tmp_path, DataOptions(**options, time_unit="ms"), T=6)
    counts = [int(((events["t"] // 100) == k).sum()) for k in range(6)]
    assert in_ms[0].sum((1, 2, 3)).tolist() == counts
    assert counts[3] > 0
    assert counts[4:] == [0, 0]
    in_us = frames_of(tmp_path, DataOptions(**options, time_unit="us"), T=6)
    assert in_us[0].sum((1, 2, 3)).tolist() == [60, 0, 0, 0, 0, 0]
    in_s = frames_of(tmp_path, DataOptions(**options, time_unit="s"), T=2)
    assert in_s[0].sum((1, 2, 3)).tolist() == [int((events["t"] == 0).sum()), 0]


def test_frames_are_brought_to_another_size(tmp_path):
    """The part that "crop" removes at the left of 40×30 pixels has at least 3 columns."""
    left = recording(0) | {"x": recording(0)["x"] * 0}
    for name in ("a", "b"):
        for i in range(2):
            write(tmp_path / name / f"{i}.npz", left)
    counts = frames_of(tmp_path)[0].sum()
    for resize, expected in (("stretch", counts / 12), ("crop", 0)):
        options = DataOptions(sensor_size="40x30", image_size=10, resize=resize)
        frames = frames_of(tmp_path, options)
        assert (frames.shape[-2:], frames.dtype) == ((10, 10), torch.float16)
        assert frames[0].float().sum().item() == pytest.approx(float(expected), rel=0.3)
        assert open_dataset("events", tmp_path, options).image_size == 10


def test_each_option_makes_a_cache_of_its_own_and_conversions_leave_nothing_half(tmp_path):
    root = write_set(tmp_path, {"a": 3, "b": 3})
    frames_of(root)
    frames_of(root)
    frames_of(root, DataOptions(sensor_size="41x30"))
    frames_of(root, DataOptions(sensor_size="40x30", split_by="time", time_unit="ms"))
    assert len(list((root / ".clif-cache").iterdir())) == 3
    (root / "a" / "001.npz").write_bytes(b"PK\3\4")
    (root / "b" / "003.npz").symlink_to(tmp_path / "none.npz")
    with pytest.raises(InputError, match=r"00[13]\.npz.*clif data prepare events --skip-damaged leaves it out"):
        frames_of(root)
    assert not list((root / ".clif-cache").glob(".partial*"))
    dataset = open_dataset("events", root, WIDE)
    assert sum(len(done.skipped) for done in prepare_files(dataset, root, 4, skip_damaged=True)) == 2
    train, test = check_files(dataset, root, 4)
    assert len(train.missing + test.missing) == 1
    assert len(train.damaged + test.damaged) == 1


def test_damage_is_named(tmp_path):
    root = write_set(tmp_path / "set", {"a": 3, "b": 3})
    for events, message in (
        (recording(0) | {"x": recording(0)["x"] + 20}, "outside the 40x30 pixels"),
        (recording(0) | {"t": recording(0)["t"][::-1]}, "sort them by --sort-events"),
        ({name: values[:0] for name, values in recording(0).items()}, "has no events"),
    ):
        for path in (root / "a").iterdir():
            write(path, events)
        with pytest.raises(InputError, match=message) as error:
            frames_of(root)
        assert str(root / "a") in str(error.value)
    for path in (root / "a").iterdir():
        write(path, recording(0) | {"t": recording(0)["t"][::-1]})
    assert frames_of(root, sort_events=True).sum(dim=(1, 2, 3, 4)).tolist() == [60] * 4


def test_what_is_no_set_is_named(tmp_path):
    with pytest.raises(MissingFileError, match="is not a folder"):
        open_dataset("events", tmp_path / "none", WIDE)
    root = write_set(tmp_path / "one", {"a": 3})
    with pytest.raises(InputError, match="has recordings of one class only, a"):
        open_dataset("events", root, WIDE)
    (root / "b").mkdir()
    with pytest.raises(MissingFileError, match="has no recording that can be read; remove it"):
        open_dataset("events", root, WIDE)
    for i in range(2):
        (root / "b" / f"{i}.npz").write_bytes(b"")
    for path in (root / "a").iterdir():
        path.write_bytes(b"")
    with pytest.raises(InputError, match=r"000\.npz: cannot be read as an \.npz file"):
        open_dataset("events", root, WIDE)
    (root / "stray.npz").write_bytes(b"")
    with pytest.raises(InputError, match=r"stray\.npz: is not in the folder of a class"):
        open_dataset("events", root, WIDE)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"sensor_size": "40"}, "sensor_size must be WIDTHxHEIGHT"),
        ({"sensor_size": "0x30"}, "sensor_size must be WIDTHxHEIGHT"),
        ({"sensor_size": (346, 260)}, r"sensor_size must be a text, got \(346, 260\)"),
        ({"columns": ["x", "y", "t", "p"]}, r"columns must be a text, got \['x', 'y', 't', 'p'\]"),
        ({"image_size": (48, 64)}, r"image_size must be a whole number, got \(48, 64\)"),
        ({"image_size": "48"}, "image_size must be a whole number, got '48'"),
        ({"split_by": "duration", "duration": 1e4}, r"duration must be a whole number, got 10000\.0"),
        ({"test_split": "half"}, "test_split must be a number, got 'half'"),
        ({"split_by": "events"}, "unknown split_by"),
        ({"split_by": "duration"}, "need each other"),
        ({"duration": 10}, "need each other"),
        ({"split_by": "duration", "duration": -1}, "at least 1 µs"),
        ({"split_by": "duration", "duration": 10**20}, r"at most 86400000000 µs \(a day\)"),
        ({"time_unit": "ms"}, "time_unit has no effect on frames by number"),
        ({"split_by": "time", "time_unit": "minutes"}, "unknown time_unit"),
        ({"columns": "x,y,t"}, "columns must name x, y, t and p once each"),
        ({"columns": "x,y,t,p,p"}, "columns must name x, y, t and p once each"),
        ({"resize": "stretch"}, "resize has no effect without image_size"),
        ({"in_channels": 3}, "in_channels has no effect on the data set events"),
    ],
)
def test_options_that_make_no_sense_are_refused(tmp_path, options, message):
    with pytest.raises(InputError, match=message):
        open_dataset("events", tmp_path, DataOptions(**options))


def test_options_of_recordings_are_refused_for_other_sets(tmp_path):
    for name, options in (("nmnist", {"sensor_size": "34x34"}), ("images", {"columns": "x,y,t,p"})):
        with pytest.raises(InputError, match=f"has no effect on the data set {name}"):
            open_dataset(name, tmp_path, DataOptions(**options))


def test_augmentation_is_none_by_itself_and_cifar10dvs_s_where_asked_for(tmp_path):
    root = write_set(tmp_path, {"a": 3, "b": 3})
    common = {"T": 2, "options": WIDE, "shuffle": False, "batch_size": 8}
    plain, same, strong, named = (
        next(iter(create_loader("events", root, **common, **more)))[0]
        for more in (
            {"augment": False},
            {},
            {"cutupmix_auto": True},
            {"augmentation": "flip,rotate:10,roll:2,cutout:1"},
        )
    )
    assert torch.equal(plain, same)
    assert strong.shape == plain.shape == named.shape
    assert not torch.equal(plain, strong)
    assert not torch.equal(plain, named)
    assert max(strong.max(), named.max()) <= plain.max()
    assert open_dataset("events", root, WIDE).strong == get_dataset("cifar10dvs").strong


def test_one_recording_by_itself(tmp_path):
    root = write_set(tmp_path, {"a": 3, "b": 3})
    dataset = open_dataset("events", root, WIDE)
    sample = read_sample(dataset, root / "b" / "001.npz", T=3)
    np.testing.assert_array_equal(sample.numpy(), integrate(recording(11), 3, 30, 40))
    with pytest.raises(MissingFileError, match="no such file"):
        read_sample(dataset, root / "none.npz", T=3)


def test_one_recording_whose_times_run_backwards(tmp_path):
    root = write_set(tmp_path, {"a": 3, "b": 3})
    dataset = open_dataset("events", root, WIDE)
    events = recording(0)
    order = np.random.default_rng(0).permutation(len(events["t"]))
    path = write(tmp_path / "mixed.npz", {name: values[order] for name, values in events.items()})
    with pytest.raises(InputError, match="sort them by --sort-events"):
        read_sample(dataset, path, T=3)
    sample = read_sample(dataset, path, T=3, sort=True)
    np.testing.assert_array_equal(sample.numpy(), integrate(events, 3, 30, 40))
    with pytest.raises(InputError, match="is a folder; give the files in it"):
        read_sample(dataset, root / "a", T=3)
