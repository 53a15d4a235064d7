"""Download of the sets that have a public address and a known checksum, for `clif data download` only."""

import gzip
import hashlib
import http.client
import io
import shutil
import tarfile
import tempfile
import urllib.error
import urllib.request
import zipfile
from dataclasses import dataclass
from pathlib import Path

from clif.data.cifar import CIFAR10
from clif.data.untrusted import check_unpacked, check_zip, foreign, naming
from clif.errors import InputError
from clif.progress import progress_bar

CHUNK = 1 << 20
TIMEOUT_SECONDS = 60
MOST_BYTES = 4 << 30
"""The maximum size of an unpacked archive in bytes; the largest of `ARCHIVES` unpacks to 0.5 GiB."""
MOST_HEADER = 1 << 20


@dataclass(frozen=True)
class Archive:
    """A file at `url` with its MD5 checksum, stored as `name`; `unpack` if the reader does not take it packed."""

    name: str
    url: str
    md5: str
    unpack: bool = True


KRIZ = "https://www.cs.toronto.edu/~kriz/"
FIGSHARE = "https://ndownloader.figshare.com/files/"
CIFAR10_DVS_FILES = (
    ("7712788", "0afd5c4bf9ae06af762a77b180354fdd"),
    ("7712791", "8438dfeba3bc970c94962d995b1b9bdd"),
    ("7712794", "a9c207c91c55b9dc2002dc21c684d785"),
    ("7712812", "52c63c677c2b15fa5146a8daf4d56687"),
    ("7712815", "b6bf21f6c04d21ba4e23fc3e36c8a4a3"),
    ("7712818", "f379ebdf6703d16e0a690782e62639c3"),
    ("7712842", "cad6ed91214b1c7388a5f6ee56d08803"),
    ("7712851", "e7cbbf77bec584ffbf913f00e682782a"),
    ("7712836", "41c7bd7d6b251be82557c6cce9a7d5c9"),
    ("7712839", "89f3922fd147d9aeff89e76a2b0b70a7"),
)
ARCHIVES = {
    "cifar10": (
        Archive("cifar-10-python.tar.gz", f"{KRIZ}cifar-10-python.tar.gz", "c58f30108f718f92721af3b95e74349a"),
    ),
    "cifar100": (
        Archive("cifar-100-python.tar.gz", f"{KRIZ}cifar-100-python.tar.gz", "eb9058c3a382ffc7106e4002c42a8d85"),
    ),
    "tiny_imagenet": (
        Archive(
            "tiny-imagenet-200.zip",
            "http://cs231n.stanford.edu/tiny-imagenet-200.zip",
            "90528d7ca1a48142e341f4ef8d21d0de",
        ),
    ),
    "cifar10dvs": tuple(
        Archive(f"{name}.zip", f"{FIGSHARE}{number}", md5, unpack=False)
        for name, (number, md5) in zip(CIFAR10.classes, CIFAR10_DVS_FILES, strict=True)
    ),
}


def download(name: str, root: Path, quiet: bool = True) -> None:
    """Fetch the archives of the data set `name` (of `DATASETS`) into `root` and unpack them there."""
    if name not in ARCHIVES:
        raise InputError(f"{name} has no download command; clif data check {name} says which files it needs")
    try:
        root.mkdir(parents=True, exist_ok=True)
        for archive in ARCHIVES[name]:
            path = fetch(archive, root, quiet)
            if archive.unpack:
                unpack(path, root)
    except OSError as error:
        raise InputError(f"{root}: cannot be written ({error})") from error


def fetch(archive: Archive, root: Path, quiet: bool) -> Path:
    """The archive's file in `root`, downloaded unless it exists; an interrupted download is resumed."""
    path, part = root / archive.name, root / f"{archive.name}.part"
    if path.is_file() and md5_of(path) == archive.md5:
        return path
    try:
        receive(archive.url, part, archive.name, quiet)
    except (urllib.error.URLError, http.client.HTTPException, TimeoutError, ConnectionError) as error:
        raise InputError(
            f"{archive.url}: the download broke off ({error}); the same command resumes it, or fetch it by hand "
            f"into {root}"
        ) from error
    if (found := md5_of(part)) != archive.md5:
        part.unlink()
        raise InputError(f"{archive.url}: has the MD5 {found}, not {archive.md5}; the file is damaged or was replaced")
    return part.replace(path)


def receive(url: str, part: Path, title: str, quiet: bool) -> None:
    """Append the rest of the file at `url` to `part`, or fetch all of it if the server cannot resume."""
    have = part.stat().st_size if part.exists() else 0
    request = urllib.request.Request(url, headers={"Range": f"bytes={have}-"} if have else {})
    try:
        response = urllib.request.urlopen(request, timeout=TIMEOUT_SECONDS)
    except urllib.error.HTTPError as error:
        error.close()
        if have and error.code == 416:
            return
        raise
    with response:
        resumed = response.status == 206
        rest = int(response.headers.get("Content-Length", 0))
        done = have if resumed else 0
        with (
            part.open("ab" if resumed else "wb") as file,
            progress_bar(done + rest, title, quiet, initial=done, unit="B", unit_scale=True) as bar,
        ):
            while chunk := response.read(CHUNK):
                file.write(chunk)
                bar.update(len(chunk))
        if rest and part.stat().st_size < done + rest:
            raise ConnectionError(f"{part.stat().st_size} of {done + rest} bytes came")


def md5_of(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "md5").hexdigest()


def unpack(path: Path, root: Path) -> None:
    """Unpack an archive into `root`; a folder appears there when it is complete. Nothing is written outside.

    Raises `InputError` for an archive that is damaged, unpacks to more than `MOST_BYTES`, or holds more than files and
    folders.
    """
    with tempfile.TemporaryDirectory(prefix=".unpacking-", dir=root) as temporary:
        with naming(path), foreign(path, "an archive"):
            if path.suffix == ".zip":
                check_zip(path, MOST_BYTES)
                with zipfile.ZipFile(path) as content:
                    content.extractall(temporary)
            else:
                with gzip.open(path) as unpacked, tarfile.TarFile(fileobj=_Bounded(unpacked)) as members:
                    members.extractall(temporary, filter=_plain)
        for item in Path(temporary).iterdir():
            target = root / item.name
            if target.is_dir() and not target.is_symlink():
                shutil.rmtree(target)
            else:
                target.unlink(missing_ok=True)
            item.replace(target)


def _plain(member: tarfile.TarInfo, folder: str) -> tarfile.TarInfo:
    """The member, which must be a file or folder: older versions of Python's filter let links point outside."""
    if not (member.isfile() or member.isdir()) or member.issparse():
        raise InputError(f"holds {member.name!r}, which is neither a file nor a folder")
    return tarfile.data_filter(member, folder)


class _Bounded(io.RawIOBase):
    """The content of a tar archive, up to `MOST_BYTES`, read in pieces no larger than copies and headers need."""

    def __init__(self, file: gzip.GzipFile) -> None:
        self.file = file

    def read(self, size: int = -1) -> bytes:
        if not 0 <= size <= MOST_HEADER:
            raise InputError(f"holds a header of {size} bytes")
        check_unpacked(self.file.tell() + size, MOST_BYTES, MOST_BYTES)
        return self.file.read(size)

    def seek(self, place: int, whence: int = io.SEEK_SET) -> int:
        check_unpacked(place, MOST_BYTES, MOST_BYTES)
        return self.file.seek(place, whence)

    def tell(self) -> int:
        return self.file.tell()
