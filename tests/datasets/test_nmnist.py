import os
from pathlib import Path

import numpy as np
import pytest
from writers import make_events, nmnist

from clif.data import create_loader
from clif.data.events import integrate
from clif.data.nmnist import find_nmnist
from clif.errors import InputError, MissingFileError

REAL = os.environ.get("CLIF_TEST_DATA")


@pytest.fixture
def root(tmp_path) -> Path:
    for part, numbers in (("Train", (1, 2, 3)), ("Test", (1,))):
        for digit in (0, 7):
            folder = tmp_path / "NMNIST" / part / str(digit)
            folder.mkdir(parents=True)
            for number in numbers:
                (folder / f"{number:05d}.bin").write_bytes(nmnist(make_events(200, 34, seed=10 * number + digit)))
    return tmp_path


def test_stored_frames_that_are_no_counts_are_refused(tmp_path):
    folder = tmp_path / "frames_number_4_split_by_number" / "train" / "7"
    folder.mkdir(parents=True)
    frames = integrate(make_events(200, 34), 4, 34, 34) / 2
    np.savez(folder / "1.npz", frames=frames)
    with pytest.raises(InputError, match=r"1\.npz: frames must be counts of events, .*, got fractions"):
        create_loader("nmnist", tmp_path, T=4, allow_incomplete=True)
    np.savez(folder / "1.npz", frames=2 * frames)
    loader = create_loader("nmnist", tmp_path, T=4, allow_incomplete=True)
    np.testing.assert_array_equal(loader.images[0], 2 * frames)


def test_publishers_layout(root):
    frames, labels = next(iter(create_loader("nmnist", root, T=4, shuffle=False, allow_incomplete=True)))
    assert frames.shape == (4, 6, 2, 34, 34)
    assert labels.tolist() == [0, 0, 0, 7, 7, 7]
    np.testing.assert_array_equal(frames[:, 4], integrate(make_events(200, 34, seed=27), 4, 34, 34))
    _, labels = next(
        iter(create_loader("N-MNIST".replace("-", ""), root / "NMNIST", train=False, allow_incomplete=True))
    )
    assert labels.tolist() == [0, 7]


def test_spikingjellys_layout(tmp_path):
    folder = tmp_path / "events_np" / "train" / "5"
    folder.mkdir(parents=True)
    np.savez(folder / "00001.npz", **make_events(100, 34))
    _, labels = next(iter(create_loader("nmnist", tmp_path, allow_incomplete=True)))
    assert labels.tolist() == [5]


def test_damage_is_named(root):
    path = root / "NMNIST" / "Train" / "7" / "00002.bin"
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(InputError, match=r"00002\.bin: 999 bytes"):
        create_loader("nmnist", root, allow_incomplete=True)


def test_where_to_get_it(tmp_path):
    with pytest.raises(MissingFileError, match="garrickorchard"):
        create_loader("nmnist", tmp_path, allow_incomplete=True)
    (tmp_path / "Train.zip").write_bytes(b"")
    with pytest.raises(MissingFileError, match=r"unzip Train\.zip"):
        create_loader("nmnist", tmp_path, allow_incomplete=True)


@pytest.mark.skipif(REAL is None, reason="CLIF_TEST_DATA names no folder with the unpacked data")
def test_real_recordings():
    assert REAL is not None
    split = find_nmnist(Path(REAL), False, 10)
    assert len(split.sources) == 100
    assert split.sources[0].load().shape == (1, 10, 2, 34, 34)
