import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from writers import aedat2, make_events

from clif.data import create_loader
from clif.data.cifar10dvs import find_cifar10dvs, read_recording, zip_members
from clif.data.events import integrate
from clif.errors import InputError, MissingFileError

NUMBERS = (0, 2, 10, 899, 900, 999)


def recording(label: int, number: int) -> dict[str, np.ndarray]:
    return make_events(400, seed=1000 * label + number)


@pytest.fixture
def root(tmp_path) -> Path:
    """AEDAT 2.0 files of two classes in their folders."""
    for label, name in ((0, "airplane"), (9, "truck")):
        (tmp_path / "CIFAR10DVS" / name).mkdir(parents=True)
        for number in NUMBERS:
            path = tmp_path / "CIFAR10DVS" / name / f"cifar10_{name}_{number}.aedat"
            path.write_bytes(aedat2(recording(label, number)))
    return tmp_path


def expected_frames(label: int, number: int, T: int) -> torch.Tensor:
    """Mirrored x and polarity, T frames by number, resized to 48×48: [T, 2, 48, 48]."""
    events = recording(label, number)
    frames = integrate(events | {"x": 127 - events["x"], "p": 1 - events["p"]}, T)
    return F.interpolate(torch.from_numpy(frames).float(), (48, 48), mode="bilinear", antialias=True)


def assert_is_the_set(root: Path, T: int = 5) -> None:
    train = create_loader("cifar10dvs", root, T=T, augment=False, shuffle=False, allow_incomplete=True)
    frames, labels = next(iter(train))
    assert frames.shape == (T, 8, 2, 48, 48)
    assert labels.tolist() == [0] * 4 + [9] * 4
    wanted = torch.stack([expected_frames(label, k, T) for label in (0, 9) for k in NUMBERS[:4]], dim=1)
    torch.testing.assert_close(frames, wanted, rtol=1e-3, atol=1e-3)
    _, labels = next(iter(create_loader("DVSCIFAR10", root, train=False, T=T, allow_incomplete=True)))
    assert labels.tolist() == [0, 0, 9, 9]


def test_aedat_files_in_class_folders(root):
    assert_is_the_set(root)
    assert_is_the_set(root / "CIFAR10DVS", T=3)


def test_zip_archives(root, tmp_path):
    base = root / "CIFAR10DVS"
    for name in ("airplane", "truck"):
        with zipfile.ZipFile(base / f"{name}.zip", "w", zipfile.ZIP_DEFLATED) as archive:
            for path in (base / name).iterdir():
                archive.write(path, f"{name}/{path.name}")
                path.unlink()
            archive.writestr(f"__MACOSX/{name}/._cifar10_{name}_0.aedat", b"")
    assert_is_the_set(root)
    assert not list(tmp_path.rglob("*.aedat")), "nothing is unpacked to disk"


def test_spikingjellys_events_and_frames_are_taken_as_stored(root):
    base = root / "CIFAR10DVS"
    for name in ("airplane", "truck"):
        for folder in ("events_np", "frames_number_5_split_by_number"):
            (base / folder / name).mkdir(parents=True)
        for path in (base / name).iterdir():
            events = read_recording(path)
            np.savez(base / "events_np" / name / f"{path.stem}.npz", **events)
            np.savez(base / "frames_number_5_split_by_number" / name / f"{path.stem}.npz", frames=integrate(events, 5))
            path.unlink()
    assert_is_the_set(root)
    for path in (base / "events_np").rglob("*.npz"):
        path.unlink()
    assert_is_the_set(root)
    with pytest.raises(MissingFileError, match="for T=6"):
        create_loader("cifar10dvs", root, T=6)


def test_the_rotation_of_a_sample_is_that_of_all_its_frames(root):
    loader = create_loader("DVSCIFAR10-pt", root, T=4, batch_size=8, shuffle=False, allow_incomplete=True)
    first, _ = next(loader.batches(0))
    again, _ = next(loader.batches(0))
    other, _ = next(loader.batches(1))
    torch.testing.assert_close(first, again, rtol=0, atol=0)
    assert (first != other).any()
    loader.images = loader.images[:, :1].expand(-1, 4, -1, -1, -1)
    frames, _ = next(loader.batches(0))
    torch.testing.assert_close(frames, frames[:1].expand(4, -1, -1, -1, -1), rtol=0, atol=0)
    strong, labels = next(
        iter(create_loader("cifar10dvs", root, T=4, batch_size=8, cutupmix_auto=True, allow_incomplete=True))
    )
    assert strong.shape == (4, 8, 2, 48, 48)
    assert labels.dtype == torch.int64


def damage(base: Path, kind: str) -> str:
    path = base / "truck" / "cifar10_truck_2.aedat"
    content = path.read_bytes()
    npz = base / "events_np" / "bird" / "cifar10_bird_0.npz"
    npz.parent.mkdir(parents=True)
    if kind == "cut":
        path.write_bytes(content[:-3])
    elif kind == "magic":
        path.write_bytes(b"#!AER-DAT9.9\r\n" + content[14:])
    elif kind == "empty":
        path.write_bytes(b"")
    elif kind == "backwards":
        path.write_bytes(content + content[-8:-4] + bytes(4))
    elif kind == "name":
        path.rename(path.with_name("copy of truck.aedat"))
        return "copy of truck.aedat does not end in the recording's number"
    elif kind == "duplicate":
        path.with_name("truck_02.aedat").write_bytes(content)
        return "have the same number"
    elif kind == "zip":
        (base / "bird.zip").write_bytes(b"PK nonsense")
        return "bird.zip: cannot be read as a zip archive"
    elif kind == "pickle":
        np.savez(npz, t=np.array([{}], dtype=object))
        return "cifar10_bird_0.npz: cannot be read as an .npz file"
    elif kind == "outside":
        np.savez(npz, t=[0], x=[128], y=[0], p=[0])
        return "cifar10_bird_0.npz: x goes from 128 to 128"
    elif kind == "lengths":
        np.savez(npz, t=[0, 1], x=[1], y=[0], p=[0])
        return "cifar10_bird_0.npz: 2 times for 1 x"
    elif kind == "floats":
        np.savez(npz, t=[0.5], x=[1.0], y=[0.0], p=[0.0])
        return "cifar10_bird_0.npz: t, x, y and p must be whole numbers"
    return "cifar10_truck_2.aedat"


@pytest.mark.parametrize(
    "kind",
    ["cut", "magic", "empty", "backwards", "name", "duplicate", "zip", "pickle", "outside", "lengths", "floats"],
)
def test_damage_is_named(root, kind):
    message = damage(root / "CIFAR10DVS", kind)
    with pytest.raises(InputError, match=message):
        create_loader("cifar10dvs", root, T=4, allow_incomplete=True)
    cache = root / "CIFAR10DVS" / ".clif-cache"
    assert not cache.exists() or not list(cache.iterdir())


def test_a_damaged_member_of_an_archive_is_named(root):
    base = root / "CIFAR10DVS"
    with zipfile.ZipFile(base / "bird.zip", "w") as archive:
        archive.writestr("../cifar10_bird_5.aedat", aedat2(recording(2, 5)))
    raw = bytearray((base / "bird.zip").read_bytes())
    raw[500] ^= 1
    (base / "bird.zip").write_bytes(raw)
    assert zip_members(base / "bird.zip") == [(5, "../cifar10_bird_5.aedat")]
    with pytest.raises(InputError, match=r"bird.zip/../cifar10_bird_5.aedat: cannot be read"):
        create_loader("cifar10dvs", root, T=4, allow_incomplete=True)


def test_where_to_get_it(root, tmp_path):
    with pytest.raises(MissingFileError, match="figshare"):
        find_cifar10dvs(tmp_path / "CIFAR10DVS" / "truck", True, 4)
    for path in root.rglob("*_9??.aedat"):
        path.unlink()
    with pytest.raises(MissingFileError, match="no CIFAR10-DVS recordings 900–999"):
        create_loader("cifar10dvs", root, train=False, T=4)


def test_names_in_an_archive_take_no_time(tmp_path):
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr("." * 60_000 + "_1.aedat", b"")
        archive.writestr(f"a/{'1' * 5000}.aedat", b"")
    with pytest.raises(InputError, match=r"does not end in the recording's number") as error:
        zip_members(tmp_path / "a.zip")
    assert len(str(error.value)) < 1000
