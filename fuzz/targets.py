"""The targets: the reader of a file, the file's name, and small valid files as seeds."""

import gzip
import struct
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from fuzz import seeds

MEBIBYTE = 1 << 20


def _plain(content: bytes, path: Path) -> None:
    path.write_bytes(content)


@dataclass(frozen=True)
class Target:
    """A reader under test: `read(path)` reads a file `file`, which `write` makes of the fuzzer's bytes.

    `seeds` are valid. `named` tells whether errors name the file; branches in the modules `instrument` guide it.
    """

    file: str
    read: Callable[[Path], Any]
    seeds: Callable[[], list[bytes]]
    write: Callable[[bytes, Path], None] = _plain
    named: bool = True
    most_bytes: int = 512 * MEBIBYTE
    words: tuple[bytes, ...] = ()


def recording(suffix: str, seeds: Callable[[], list[bytes]], **also: Any) -> Target:
    def read(path: Path) -> None:
        from clif.data import read_recording
        from clif.data.events import integrate
        from clif.data.untrusted import naming

        events = read_recording(path, sort=True, columns="x,y,t,p" if suffix == ".npy" else "")
        with naming(path):
            integrate(events, T=4, height=1 << 8, width=1 << 8, split_by="time")

    return Target(f"recording{suffix}", read, seeds, **also)


def aedat3(path: Path) -> None:
    from clif.data.dvs_gesture import read_one

    read_one(path, T=4)


def cifar10dvs(path: Path) -> None:
    from clif.data.cifar10dvs import FrameFormat, zip_members, zip_sample

    for _, member in zip_members(path)[:2]:
        zip_sample(FrameFormat(2, 128, resized=48), path, member)


def spikingjelly(path: Path) -> None:
    from clif.data.nmnist import NMNIST

    assert NMNIST.read_recording is not None
    NMNIST.read_recording(path, 4)


def tonic(path: Path) -> None:
    from clif.data.dvs_gesture import read_tonic
    from clif.data.recordings import FrameFormat, sample_of

    sample_of(FrameFormat(4, 128, sort=True), path, read_tonic)


def npz_of(content: bytes, path: Path) -> None:
    """The bytes as the members of a zip archive, with valid checksums."""
    parts = content.split(b"\n--\n")
    with zipfile.ZipFile(path, "w") as archive:
        for name, part in zip("txyp", parts, strict=False):
            archive.writestr(f"{name}.npy", part)


def cifar(path: Path) -> None:
    from clif.data.cifar import CIFAR10_LAYOUT, read_binary_batch, read_python_batch

    (read_binary_batch if path.suffix else read_python_batch)(CIFAR10_LAYOUT, path)


def image(path: Path) -> None:
    from clif.data.images import read_fitted

    read_fitted(path, 16, 3, "crop")


def image_table(path: Path) -> None:
    from clif.data.class_folders import classes_of
    from clif.data.image_folder import images, list_images
    from clif.data_options import DataOptions

    classes_of(list_images(path), images(), DataOptions())


def gesture_tables(path: Path) -> None:
    from clif.data.dvs_gesture import FrameFormat, read_gestures, read_trials
    from clif.data.tiny_imagenet import read_annotations
    from clif.errors import InputError

    errors = []
    form = FrameFormat(4, 128)
    for read in (lambda: read_gestures(path), lambda: read_annotations(path, ["n1"]), lambda: read_trials(path, form)):
        try:
            read()
        except InputError as error:
            errors.append(error)
    if errors:
        raise errors[0]


def archive(path: Path) -> None:
    from clif.data.download import unpack

    root = path.parent / "root"
    root.mkdir(exist_ok=True)
    unpack(path, root)


def tar_of(content: bytes, path: Path) -> None:
    """The bytes as a compressed tar archive, with valid checksums in everything that looks like a header."""
    blocks = bytearray(content)
    for start in range(0, len(blocks) - 511, 512):
        if blocks[start + 257 : start + 262] == b"ustar":
            blocks[start + 148 : start + 156] = b" " * 8
            blocks[start + 148 : start + 156] = b"%06o\0 " % sum(blocks[start : start + 512])
    path.write_bytes(gzip.compress(blocks, 1))


def cache(path: Path) -> None:
    from clif.data.base import Source, Split
    from clif.data.split_cache import open_cache

    split = Split(path.parent, "x", "", (2,), "uint8", [Source(path, (0, 1, 2), lambda: np.zeros((3, 2)))])
    arrays = open_cache(path.parent, split)
    if arrays is not None:
        assert arrays.images.shape == (len(arrays.labels), 2)
        assert arrays.labels.dtype.kind == "i"


def cache_of(content: bytes, path: Path) -> None:
    meta, images, labels = [*content.split(b"\n--\n"), b"", b"", b""][:3]
    path.write_bytes(meta)
    (path.parent / "images.npy").write_bytes(images)
    (path.parent / "labels.npy").write_bytes(labels)


def checkpoint(path: Path) -> None:
    from clif.train.checkpoint import build_network, read_checkpoint

    content = read_checkpoint(path)
    build_network(content, str(path), **({} if content.get("model") else {"model": "snn5_noAP", "neuron": "LIF"}))


def checkpoint_of(content: bytes, path: Path) -> None:
    """The bytes as the pickle in torch's archive, with valid checksums and one storage of 4 bytes."""
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("archive/data.pkl", content)
        archive.writestr("archive/data/0", bytes(4))
        archive.writestr("archive/version", "3\n")


def weights_of(content: bytes, path: Path) -> None:
    """The bytes as the header of a safetensors file with 4096 bytes of data."""
    path.write_bytes(struct.pack("<Q", len(content)) + content + bytes(4096))


def stream_state(path: Path) -> None:
    import torch

    from clif.deploy import StreamPredictor

    net = seeds.network()
    stream = StreamPredictor(net)
    stream.restore(path)
    stream(torch.zeros(1, 3, 16, 16))


def recipe(path: Path) -> None:
    from clif.train.config import resolve

    resolve(str(path))


def costs(path: Path) -> None:
    from clif.energy import find_costs

    find_costs(path)


def report(path: Path) -> None:
    from clif.report import find_runs, make_report

    make_report(find_runs([path.parent]))


def run_of(content: bytes, path: Path) -> None:
    """A run's folder in which the bytes replace one file, chosen by the first byte."""
    files = seeds.run_files()
    name = sorted(files)[content[0] % len(files)] if content else "config.yaml"
    files[name] = content[1:]
    for file, text in files.items():
        place = path.parent / file
        place.parent.mkdir(exist_ok=True)
        place.write_bytes(text)


def bench_report(path: Path) -> None:
    from clif.bench.report import read_report

    read_report(path)


def nir(path: Path) -> None:
    from clif.export import from_nir

    from_nir(path)


def program(path: Path) -> None:
    from clif.generate import cpp
    from clif.generate.program import parse

    cpp.source(parse(path.read_text(encoding="latin1")))


TARGETS: dict[str, Target] = {
    "aedat": recording(".aedat", seeds.aedat),
    "aedat3": Target("x.aedat", aedat3, seeds.aedat),
    "nmnist": recording(".bin", seeds.nmnist),
    "dat": recording(".dat", seeds.dat),
    "text": recording(".csv", seeds.text),
    "npy": recording(".npy", seeds.npy),
    "npz": recording(".npz", seeds.npz),
    "npz_members": recording(".npz", seeds.npz_members, write=npz_of),
    "spikingjelly": Target("x.npz", spikingjelly, seeds.npz_members, write=npz_of),
    "tonic": Target("x.npy", tonic, seeds.tonic),
    "h5": recording(".h5", seeds.h5),
    "cifar10dvs": Target("airplane.zip", cifar10dvs, seeds.zip_of_recordings),
    "cifar_pickle": Target("data_batch_1", cifar, seeds.pickles),
    "cifar_binary": Target("data_batch_1.bin", cifar, seeds.binary),
    "image": Target("x.png", image, seeds.images, most_bytes=2048 * MEBIBYTE),
    "image_table": Target("x.csv", image_table, seeds.image_tables),
    "tables": Target("x.csv", gesture_tables, seeds.tables),
    "tar": Target("x.tar.gz", archive, seeds.tars, write=tar_of),
    "tar_gz": Target("x.tar.gz", archive, seeds.tars_gz),
    "zip": Target("x.zip", archive, seeds.zips),
    "cache": Target("meta.json", cache, seeds.caches, write=cache_of, named=False),
    "checkpoint": Target("x.pth", checkpoint, seeds.checkpoints),
    "checkpoint_pickle": Target("x.pth", checkpoint, seeds.checkpoint_pickles, write=checkpoint_of),
    "safetensors": Target("x.safetensors", checkpoint, seeds.safetensors),
    "safetensors_header": Target("x.safetensors", checkpoint, seeds.safetensors_headers, write=weights_of),
    "stream_state": Target("x.pt", stream_state, seeds.stream_states),
    "recipe": Target("x.yaml", recipe, seeds.recipes, named=False),
    "costs": Target("x.yaml", costs, seeds.costs),
    "report": Target("run/config.yaml", report, seeds.runs, write=run_of, named=False),
    "bench_report": Target("x.json", bench_report, seeds.bench_reports),
    "nir": Target("x.nir", nir, seeds.nirs),
    "program": Target("x.txt", program, seeds.programs, named=False),
}
