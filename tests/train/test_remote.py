"""Checkpoints from a URL with a hash, or from a Hugging Face repository; the tests use no network."""

import hashlib
import sys
import threading
import types
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

import clif
from clif.cli import main
from clif.errors import InputError
from clif.export import to_safetensors
from clif.models import create_model
from clif.train.checkpoint import outputs_folder
from clif.train.remote import fetch, is_remote


@pytest.fixture
def server(tmp_path, monkeypatch):
    """The address of a folder with a network, and its hash; downloads go into another folder."""
    folder = tmp_path / "served"
    folder.mkdir()
    to_safetensors(create_model("snn7", T=2), folder / "net.safetensors")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))

    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(folder)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield (
        f"http://127.0.0.1:{server.server_port}/net.safetensors",
        hashlib.sha256((folder / "net.safetensors").read_bytes()).hexdigest(),
    )
    server.shutdown()
    server.server_close()


def test_a_checkpoint_is_downloaded_once(server):
    url, digest = server
    assert clif.load(f"{url}#sha256={digest}").T == 2
    first = fetch(f"{url}#sha256={digest}")
    changed = first.stat().st_mtime_ns
    assert fetch(f"{url}#sha256={digest.upper()}").stat().st_mtime_ns == changed


def test_an_export_of_a_download_lies_in_the_current_folder(server, tmp_path, monkeypatch):
    url, digest = server
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    assert main(["export", f"{url}#sha256={digest}", "--format", "safetensors"]) == 0
    assert [path.name for path in (tmp_path / "here").iterdir()] == ["network.safetensors"]


@pytest.mark.parametrize(
    ("checkpoint", "folder"),
    [
        ("pretrained:digits", "."),
        ("https://x.org/a/net.safetensors#sha256=0", "."),
        ("hf:owner/repository/net.safetensors", "."),
        ("logs/net.pth", "logs"),
        ("net.pth", "."),
    ],
)
def test_outputs_lie_beside_a_local_checkpoint(checkpoint, folder):
    assert outputs_folder(checkpoint) == Path(folder)


def test_a_file_with_another_hash_is_refused(server, tmp_path):
    url, digest = server
    wrong = digest[:-1] + ("0" if digest[-1] != "0" else "1")
    with pytest.raises(InputError, match=r"net\.safetensors.*does not match"):
        clif.load(f"{url}#sha256={wrong}")
    assert not list((tmp_path / "cache").rglob("*net.safetensors"))


@pytest.mark.parametrize("fragment", ["", "#", "#md5=1", "#sha256=12", "#sha256=" + "g" * 64])
def test_a_url_without_a_hash_is_refused(fragment):
    with pytest.raises(InputError, match=r"add the file's hash: https://x\.org/a\.pth#sha256=HEX"):
        clif.load(f"https://x.org/a.pth{fragment}")


def test_a_server_that_does_not_answer_is_one_line(server):
    url, digest = server
    with pytest.raises(InputError, match=r"missing\.pth cannot be downloaded: "):
        clif.load(f"{url.replace('net.safetensors', 'missing.pth')}#sha256={digest}")


def test_a_file_of_a_repository_is_fetched_by_its_library(monkeypatch, tmp_path):
    path = tmp_path / "net.safetensors"
    to_safetensors(create_model("snn7", T=2), path)
    asked = []

    def hf_hub_download(repository, file, revision):
        asked.append((repository, file, revision))
        return str(path)

    monkeypatch.setitem(sys.modules, "huggingface_hub", types.SimpleNamespace(hf_hub_download=hf_hub_download))
    assert clif.load("hf:someone/nets/best/net.safetensors@v1").T == 2
    assert clif.load("hf:someone/nets/net.safetensors").T == 2
    assert asked == [("someone/nets", "best/net.safetensors", "v1"), ("someone/nets", "net.safetensors", None)]


def test_a_missing_library_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    with pytest.raises(InputError, match=r'needs huggingface_hub: pip install "clif-snn\[hub\]"'):
        clif.load("hf:someone/nets/net.safetensors")


@pytest.mark.parametrize("name", ["hf:", "hf:a", "hf:a/b", "hf:a/b/"])
def test_a_repository_without_a_file_is_refused(name):
    with pytest.raises(InputError, match="write hf:OWNER/REPOSITORY/FILE"):
        clif.load(name)


def test_paths_are_no_urls():
    assert not any(is_remote(path) for path in ("a.pth", "/a/b.pth", "C:\\a.pth", "~/x", "pretrained:x"))
