import gzip
import io
from pathlib import Path

import numpy as np
import pytest
from people import write_cifar10dvs, write_nmnist
from writers import aedat2, aedat3, make_events, nmnist

from clif.cli import main
from clif.data import create_loader, read_recording
from clif.data.cifar10dvs import CIFAR10_DVS
from clif.data.events import read_aedat2, read_aedat3, read_nmnist
from clif.data.formats import describe
from clif.data.images import read_fitted
from clif.errors import InputError


def npz() -> bytes:
    content = io.BytesIO()
    np.savez(content, t=[1])
    return content.getvalue()


CONTENTS = {
    "AEDAT 1.0": b"#!AER-DAT1.0\r\n" + bytes(60),
    "AEDAT 4.0": b"#!AER-DAT4.0\r\n\x0c\x09\0\0",
    "EVT 3.0": b"% Date 2020-09-25\n% evt 3.0\n% end\n",
    "EVT 2.1": b"% format EVT21;width=1280;height=720\n",
    "EVT 2.0": b"% evt 2.0\n",
    "DAT": b"% Data file containing CD events.\n% Version 2\n",
    "Event Stream": b"Event Stream\2\0\0",
    "HDF5": b"\x89HDF\r\n\x1a\n",
    "NumPy": b"\x93NUMPY\1\0",
    "npz": npz(),
    "zip archive": b"PK\3\4" + bytes(26) + b"a.aedat",
    "gzip": gzip.compress(b"#!AER-DAT2.0\r\n"),
    "web page": b"\n<!DOCTYPE html><html>",
    "Git LFS": b"version https://git-lfs.github.com/spec/v1\n",
    "AppleDouble": b"\0\5\x16\7\0\2\0\0",
    "zeros": bytes(80),
    "empty": b"",
}


@pytest.mark.parametrize("name", CONTENTS)
@pytest.mark.parametrize("read", [read_aedat2, read_aedat3])
def test_other_formats_are_named(tmp_path, name, read):
    path = tmp_path / "recording.aedat"
    path.write_bytes(CONTENTS[name])
    with pytest.raises(InputError, match=rf"recording\.aedat: is .*{name}"):
        read(path)


@pytest.mark.parametrize("name", ["web page", "Git LFS", "AppleDouble", "zeros", "empty"])
@pytest.mark.parametrize("file", ["a.png", "a.npy", "a.npz"])
def test_files_without_data_are_named(tmp_path, name, file):
    path = tmp_path / file
    path.write_bytes(CONTENTS[name])
    with pytest.raises(InputError, match=rf"{file}: cannot be read as an? \.?\w+( file)?: it is .*{name}"):
        read_fitted(path, 8, 3, "crop") if file == "a.png" else read_recording(path)


@pytest.mark.parametrize("name", ["AEDAT 4.0", "EVT 3.0", "DAT", "HDF5", "npz", "gzip"])
def test_other_formats_as_nmnist_are_named(tmp_path, name):
    path = tmp_path / "recording.bin"
    path.write_bytes(CONTENTS[name] + bytes(-len(CONTENTS[name]) % 5))
    with pytest.raises(InputError, match=rf"recording\.bin: is .*{name}"):
        read_nmnist(path)


def test_the_reader_of_the_other_version_is_named(tmp_path):
    path = tmp_path / "recording.aedat"
    path.write_bytes(aedat2(make_events(5)))
    with pytest.raises(InputError, match=r"AEDAT 2\.0 .*read_aedat2 reads it"):
        read_aedat3(path)
    path.write_bytes(aedat3(make_events(5)))
    with pytest.raises(InputError, match=r"AEDAT 3\.1 .*read_aedat3 reads it"):
        read_aedat2(path)


def test_recordings_have_no_mark():
    assert describe(nmnist(make_events(9, 34))) is None


def test_a_set_in_another_format(tmp_path, capsys):
    for name in CIFAR10_DVS.classes:
        (tmp_path / name).mkdir()
        (tmp_path / name / "0.aedat4").write_bytes(CONTENTS["AEDAT 4.0"])
    assert main(["data", "check", "cifar10dvs", "-data_dir", str(tmp_path), "--quiet"]) == 1
    assert "0.aedat4 is an AEDAT 4.0 recording" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("name", "write", "path"),
    [("cifar10dvs", write_cifar10dvs, "bird/cifar10_bird_1.aedat"), ("nmnist", write_nmnist, "Train/4/00004.bin")],
)
def test_one_recording_in_another_format(tmp_path: Path, name, write, path):
    write(tmp_path)
    (tmp_path / path).write_bytes(CONTENTS["AEDAT 4.0"] + b"#")
    with pytest.raises(InputError, match=rf"{Path(path).name}: is an AEDAT 4\.0"):
        create_loader(name, tmp_path, T=2)
