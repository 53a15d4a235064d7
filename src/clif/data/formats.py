"""Names of file formats by the first bytes of the content, for error messages."""

import re
from contextlib import suppress
from pathlib import Path

HEADER_BYTES = 4096
MAGIC = (
    (b"Event Stream", "an Event Stream recording (.es)"),
    (b"\x89HDF\r\n\x1a\n", "an HDF5 file"),
    (b"#ROSBAG", "a ROS bag"),
    (b"\x93NUMPY", "a NumPy array (.npy)"),
    (b"MATLAB 5.0", "a MATLAB file (.mat)"),
    (b"\x1f\x8b", "gzip-compressed"),
    (b"BZh", "bzip2-compressed"),
    (b"\xfd7zXZ\0", "xz-compressed"),
    (b"\x28\xb5\x2f\xfd", "zstd-compressed"),
    (b"7z\xbc\xaf\x27\x1c", "a 7z archive"),
    (b"Rar!", "a RAR archive"),
    (b"\x89PNG", "a PNG image"),
    (b"\xff\xd8\xff", "a JPEG image"),
    (b"RIFF", "a RIFF file, such as AVI or WebP"),
    (b"\0\5\x16\7", "an AppleDouble file of macOS"),
    (b"version https://git-lfs", "a Git LFS pointer instead of the file"),
)
NO_DATA = ("empty", "a web page", "a Git LFS pointer", "an AppleDouble file", "filled with zeros")
"""The beginnings of the names that `describe` gives to files without data of any format."""

AEDAT = re.compile(rb"#!AER-DAT(\d+\.\d+|\d+)")
EVT = re.compile(rb"%\s*(?:evt|format)\s+(?:EVT)?(\d)\.?(\d)?", re.IGNORECASE)


def describe(content: bytes) -> str | None:
    """The format of a file by its first bytes, such as "an AEDAT 4.0 recording"; None if it is unknown."""
    if not content:
        return "empty"
    if found := AEDAT.match(content):
        return f"an AEDAT {found[1].decode()} recording (it starts with {found[0].decode()})"
    if content.startswith(b"%"):
        return _prophesee(content[:HEADER_BYTES])
    if content.startswith(b"PK\3\4"):
        return "an .npz file" if b".npy" in content[:256] else "a zip archive"
    for magic, name in MAGIC:
        if content.startswith(magic):
            return name
    if content[257:262] == b"ustar":
        return "a tar archive"
    if content[:HEADER_BYTES].lstrip().lower().startswith((b"<!doctype html", b"<html")):
        return "a web page instead of the file"
    return "filled with zeros, as after an interrupted download" if not any(content[:HEADER_BYTES]) else None


def without_data(path: Path | str) -> str | None:
    """What a file has in place of data, such as "a Git LFS pointer instead of the file"; None if it may have data."""
    found = None
    with suppress(OSError), open(path, "rb") as file:
        found = describe(file.read(HEADER_BYTES))
    return found if found and found.startswith(NO_DATA) else None


def _prophesee(header: bytes) -> str:
    if found := EVT.search(header):
        return f"a Prophesee EVT {found[1].decode()}.{(found[2] or b'0').decode()} recording (.raw)"
    if b"Data file containing" in header:
        return "a Prophesee DAT recording (.dat)"
    return "a Prophesee recording (.raw or .dat)"
