from pathlib import Path

import numpy as np
import pytest
import torch
from writers import aedat3, make_events

from clif.data import create_loader
from clif.data.events import integrate
from clif.errors import InputError, MissingFileError

GESTURES = [(1, 1_000, 90_000), (11, 95_000, 180_000), (8, 180_000, 250_000), (8, 250_000, 299_000)]


def user(number: int) -> dict[str, np.ndarray]:
    return make_events(2_000, seed=number)


def cut(events: dict[str, np.ndarray], start: int, end: int) -> dict[str, np.ndarray]:
    chosen = (events["t"] >= start) & (events["t"] < end)
    return {name: values[chosen] for name, values in events.items()}


@pytest.fixture
def root(tmp_path) -> Path:
    base = tmp_path / "DvsGesture"
    base.mkdir()
    for number, part in ((1, "train"), (2, "train"), (24, "test")):
        name = f"user{number:02d}_led"
        (base / f"{name}.aedat").write_bytes(aedat3(user(number)))
        rows = "".join(f"{label},{start},{end}\n" for label, start, end in GESTURES)
        (base / f"{name}_labels.csv").write_text(f"class,startTime_usec,endTime_usec\n{rows}")
        with (base / f"trials_to_{part}.txt").open("a") as file:
            file.write(f"{name}.aedat\n")
    return tmp_path


def test_publishers_recordings_are_cut_by_their_tables(root):
    loader = create_loader("dvsgesture", root, T=4, shuffle=False, allow_incomplete=True)
    frames, labels = next(iter(loader))
    assert frames.shape == (4, 8, 2, 128, 128)
    assert labels.tolist() == [0, 10, 7, 7] * 2
    wanted = [integrate(cut(user(number), *gesture[1:]), 4) for number in (1, 2) for gesture in GESTURES]
    np.testing.assert_array_equal(frames, np.stack(wanted, axis=1))
    frames, labels = next(
        iter(create_loader("dvs_gesture", root / "DvsGesture", train=False, T=3, allow_incomplete=True))
    )
    assert (frames.shape, len(labels)) == ((3, 4, 2, 128, 128), 4)


def test_spikingjellys_events_and_frames(tmp_path):
    for part in ("train", "test"):
        for kind in ("events_np", "frames_number_4_split_by_number"):
            (tmp_path / kind / part / "7").mkdir(parents=True)
        events = user(3)
        np.savez(tmp_path / "events_np" / part / "7" / "user03_led_0.npz", **events)
        np.savez(
            tmp_path / "frames_number_4_split_by_number" / part / "7" / "user03_led_0.npz",
            frames=integrate(events, 4).astype(np.int16),
        )
    from_events, labels = next(iter(create_loader("dvs_gesture", tmp_path, T=4, allow_incomplete=True)))
    assert labels.tolist() == [7]
    (tmp_path / "events_np" / "train" / "7" / "user03_led_0.npz").unlink()
    from_frames, _ = next(iter(create_loader("dvs_gesture", tmp_path, T=4, allow_incomplete=True)))
    torch.testing.assert_close(from_events, from_frames)


def test_tonics_arrays(tmp_path):
    folder = tmp_path / "DVSGesture" / "ibmGestureTest" / "user24_led"
    folder.mkdir(parents=True)
    events = user(24)
    events["t"] = events["t"] // 1000
    for label in (10, 3):
        np.save(folder / f"{label}.npy", np.stack([events[name] for name in "xypt"], axis=1).astype(np.float64))
    frames, labels = next(iter(create_loader("dvs_gesture", tmp_path, train=False, T=5, allow_incomplete=True)))
    assert labels.tolist() == [3, 10]
    np.testing.assert_array_equal(frames[:, 0], integrate(events, 5))


def damage(base: Path, kind: str) -> str:
    recording, table, trials = base / "user02_led.aedat", base / "user02_led_labels.csv", base / "trials_to_train.txt"
    if kind == "cut":
        recording.write_bytes(recording.read_bytes()[:-50])
        return "user02_led.aedat: .*truncated"
    if kind == "early end":
        recording.write_bytes(aedat3(cut(user(2), 0, 100_000)))
        return "user02_led.aedat: has no events in gesture 3"
    if kind == "empty":
        recording.write_bytes(b"")
        return "user02_led.aedat"
    if kind == "missing":
        recording.unlink()
        return "user02_led.aedat, which trials_to_train.txt names, is missing"
    if kind == "table missing":
        table.unlink()
        return "user02_led_labels.csv, which .* is missing"
    if kind == "header":
        table.write_text("1,1000,90000\n")
        return "must begin with the line class"
    if kind == "twice":
        trials.write_text("user02_led.aedat\nuser02_led.aedat\n")
        return "trials_to_train.txt: names a recording twice"
    if kind == "escape":
        trials.write_text("../user02_led.aedat\n")
        return "not the plain name"
    table.write_text(
        "class,startTime_usec,endTime_usec\n"
        + {"class": "12,0,5", "times": "1,9,5", "text": "a,b", "huge": f"1,0,{10**30}"}.get(kind, "")
    )
    return {
        "class": "line 2: the class must be 1…11",
        "huge": "line 2: .*start < end",
        "times": "line 2: .*start < end",
        "text": "line 2 must be",
    }.get(kind, "no gesture")


@pytest.mark.parametrize(
    "kind",
    [
        "cut",
        "early end",
        "empty",
        "missing",
        "table missing",
        "escape",
        "twice",
        "class",
        "times",
        "huge",
        "text",
        "header",
        "nothing",
    ],
)
def test_damage_is_named(root, kind):
    message = damage(root / "DvsGesture", kind)
    with pytest.raises(InputError, match=message):
        create_loader("dvs_gesture", root, T=4, allow_incomplete="missing" not in kind)


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        (np.zeros((5, 3)), "expected an array of numbers"),
        (np.full((5, 4), np.nan), "not coordinates or times"),
        (np.full((5, 4), 1e30), "not coordinates or times"),
        (np.zeros((0, 4)), "no events"),
        (np.array([[0, 0, 0, 5], [0, 0, 0, 4]]), "backwards"),
        (np.array([{}]), r"3\.npy: cannot be read as an \.npy file"),
    ],
)
def test_damaged_tonic_arrays_are_named(tmp_path, rows, message):
    folder = tmp_path / "ibmGestureTrain" / "user01_led"
    folder.mkdir(parents=True)
    np.save(folder / "3.npy", rows)
    with pytest.raises(InputError, match=message):
        create_loader("dvs_gesture", tmp_path, T=4, allow_incomplete=True)


def test_where_to_get_it(tmp_path):
    with pytest.raises(MissingFileError, match=r"ibm\.ent\.box\.com"):
        create_loader("dvs_gesture", tmp_path, allow_incomplete=True)
    (tmp_path / "DvsGesture.tar.gz").write_bytes(b"")
    with pytest.raises(MissingFileError, match=r"tar xzf DvsGesture\.tar\.gz"):
        create_loader("dvs_gesture", tmp_path, allow_incomplete=True)
