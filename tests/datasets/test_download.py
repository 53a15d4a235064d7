import contextlib
import gzip
import hashlib
import io
import tarfile
import threading
import zipfile
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from clif.cli import main
from clif.data import download as module
from clif.data.download import Archive, download, unpack
from clif.errors import InputError


def tar_of(files: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
        for name, content in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return buffer.getvalue()


class Server(BaseHTTPRequestHandler):
    """Serves `content` from the start of the request's Range, at most `cut` bytes whatever length it announces."""

    content = b""
    cut: int | None = None
    resumes = True
    ranges: list[str | None]

    def do_GET(self) -> None:
        given = self.headers.get("Range")
        self.ranges.append(given)
        start = int(given.removeprefix("bytes=").rstrip("-")) if given and self.resumes else 0
        if start and start >= len(self.content):
            self.send_error(416)
            return
        self.send_response(206 if start else 200)
        self.send_header("Content-Length", str(len(self.content) - start))
        self.end_headers()
        self.wfile.write(self.content[start:][: self.cut])

    def log_message(self, *_args: object) -> None:
        """Keep the test's output clean."""


@pytest.fixture
def server(monkeypatch) -> Iterator[type[Server]]:
    handler = type("Handler", (Server,), {"ranges": [], "content": tar_of({"cifar-10-batches-py/a": b"x" * 5_000})})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as http:
        thread = threading.Thread(target=http.serve_forever, args=(0.01,))
        thread.start()
        url = f"http://127.0.0.1:{http.server_port}/a.tar.gz"
        archive = Archive("a.tar.gz", url, hashlib.md5(handler.content).hexdigest())
        monkeypatch.setitem(module.ARCHIVES, "cifar10", (archive,))
        yield handler
        http.shutdown()
        thread.join()


def names(root: Path) -> list[str]:
    return sorted(path.name for path in root.iterdir())


def test_fetches_checks_and_unpacks_once(server, tmp_path):
    for _ in range(2):
        download("cifar10", tmp_path / "new")
        assert (tmp_path / "new" / "cifar-10-batches-py" / "a").read_bytes() == b"x" * 5_000
    assert server.ranges == [None]
    assert names(tmp_path / "new") == ["a.tar.gz", "cifar-10-batches-py"]


@pytest.mark.parametrize("resumes", [True, False])
def test_resumes_what_broke_off(server, tmp_path, resumes):
    server.cut, server.resumes = 50, resumes
    with pytest.raises(InputError, match=r"50 of .* the same command resumes it"):
        download("cifar10", tmp_path)
    assert names(tmp_path) == ["a.tar.gz.part"]
    server.cut = None
    download("cifar10", tmp_path)
    assert server.ranges == [None, "bytes=50-"]
    assert names(tmp_path) == ["a.tar.gz", "cifar-10-batches-py"]


def test_a_complete_part_is_only_checked(server, tmp_path):
    (tmp_path / "a.tar.gz.part").write_bytes(server.content)
    download("cifar10", tmp_path)
    assert names(tmp_path) == ["a.tar.gz", "cifar-10-batches-py"]


def test_another_file_than_expected_is_refused(server, tmp_path, capsys):
    server.content = server.content[:-1] + b"?"
    assert main(["data", "download", "cifar10", "-data_dir", str(tmp_path), "--quiet"]) == 2
    assert "the file is damaged or was replaced" in capsys.readouterr().err
    assert names(tmp_path) == []


def test_no_connection(monkeypatch, tmp_path):
    archive = Archive("a.zip", "http://127.0.0.1:1/a.zip", "0")
    monkeypatch.setitem(module.ARCHIVES, "cifar10", (archive,))
    with pytest.raises(InputError, match="broke off"):
        download("cifar10", tmp_path)
    with pytest.raises(InputError, match="dvs_gesture has no download command"):
        download("dvs_gesture", tmp_path)


def test_archives_write_nothing_outside(tmp_path):
    root = tmp_path / "root"
    root.mkdir()
    (root / "bad.tar.gz").write_bytes(tar_of({"../outside": b"x"}))
    with pytest.raises(InputError, match=r"bad\.tar\.gz: cannot be read as an archive"):
        unpack(root / "bad.tar.gz", root)
    with zipfile.ZipFile(root / "bad.zip", "w") as archive:
        archive.writestr("../outside", b"x")
    unpack(root / "bad.zip", root)
    assert names(tmp_path) == ["root"]
    assert names(root) == ["bad.tar.gz", "bad.zip", "outside"]


@pytest.mark.parametrize(
    ("kind", "target"),
    [
        *((kind, target) for kind in (tarfile.SYMTYPE, tarfile.LNKTYPE) for target in ("a", "../../outside", "/etc")),
        *((kind, "") for kind in (tarfile.CHRTYPE, tarfile.BLKTYPE, tarfile.FIFOTYPE, tarfile.GNUTYPE_SPARSE)),
    ],
)
def test_archives_hold_files_and_folders_alone(tmp_path, kind, target):
    with tarfile.open(tmp_path / "bad.tar.gz", "w:gz") as archive:
        archive.addfile(tarfile.TarInfo("a"))
        member = tarfile.TarInfo("b")
        member.type, member.linkname = kind, target
        archive.addfile(member)
    with pytest.raises(InputError, match=r"bad\.tar\.gz: "):
        unpack(tmp_path / "bad.tar.gz", tmp_path)
    assert names(tmp_path) == ["bad.tar.gz"]


@pytest.mark.parametrize("name", ["/outside", "a/../../outside", "C:\\outside"])
def test_no_name_leads_out_of_the_folder(tmp_path, name):
    root = tmp_path / "root"
    root.mkdir()
    (root / "a.tar.gz").write_bytes(tar_of({name: b"x"}))
    with zipfile.ZipFile(root / "a.zip", "w") as archive:
        archive.writestr(name, b"x")
    for path in (root / "a.tar.gz", root / "a.zip"):
        with contextlib.suppress(InputError):
            unpack(path, root)
    assert names(tmp_path) == ["root"]
    assert not Path("/outside").exists()


def test_what_an_archive_unpacks_to_is_bounded(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "MOST_BYTES", 1 << 16)
    (tmp_path / "a.tar.gz").write_bytes(tar_of({"a": bytes(1 << 17)}))
    with zipfile.ZipFile(tmp_path / "a.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a", bytes(1 << 17))
    for name in ("a.tar.gz", "a.zip"):
        with pytest.raises(InputError, match=f"{name}: unpacks to"):
            unpack(tmp_path / name, tmp_path)
    assert names(tmp_path) == ["a.tar.gz", "a.zip"]


def test_a_header_of_a_tar_archive_takes_little_memory(tmp_path):
    """Long names are stored in separate parts, which Python's reader loads into memory as a whole."""
    member = tarfile.TarInfo("././@LongLink")
    member.type, member.size = tarfile.GNUTYPE_LONGNAME, 1 << 30
    (tmp_path / "a.tar.gz").write_bytes(gzip.compress(member.tobuf(tarfile.GNU_FORMAT) + bytes(1 << 20)))
    with pytest.raises(InputError, match=r"a\.tar\.gz: holds a header of 1073741824 bytes"):
        unpack(tmp_path / "a.tar.gz", tmp_path)


def test_a_file_gives_way_to_a_folder(tmp_path):
    (tmp_path / "set").write_text("")
    (tmp_path / "a.tar.gz").write_bytes(tar_of({"set/a": b"x"}))
    unpack(tmp_path / "a.tar.gz", tmp_path)
    assert (tmp_path / "set" / "a").read_bytes() == b"x"
