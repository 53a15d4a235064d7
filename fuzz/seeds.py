"""Small valid files of every format, made with the package's own writers and those of its tests."""

import gzip
import io
import itertools
import json
import pickle
import re
import sys
import tarfile
import tempfile
import zipfile
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT / "tests" / folder) for folder in ("datasets", "report")]

import run_folders  # noqa: E402
import writers  # noqa: E402

EVENTS = writers.make_events(12)
COMMAS = b"\n--\n"
"""The separator between the parts of one input that stands for several files."""


def written(write: Any, name: str = "x") -> bytes:
    """The content of the file that `write(path)` writes."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / name
        write(path)
        return path.read_bytes()


def aedat() -> list[bytes]:
    early, late = writers.make_events(6, seed=1), writers.make_events(6, start=(1 << 31) - 100, seed=2)
    both = {name: np.concatenate([early[name], late[name]]) for name in early}
    return [
        writers.aedat2(EVENTS),
        writers.aedat2(EVENTS, b"#!AER-DAT2.0\n#End Of ASCII Header\n"),
        writers.aedat3(EVENTS, packet=5),
        writers.aedat3(both, packet=4, invalid=frozenset({1})),
        b"#!AER-DAT4.0\r\n" + bytes(64),
    ]


def nmnist() -> list[bytes]:
    events = writers.make_events(12, size=34)
    overflow = bytes([0, 240, 0, 0, 0])
    content = writers.nmnist(events)
    return [content, content[:20] + overflow + content[20:]]


def dat() -> list[bytes]:
    return [writers.dat(EVENTS, size=(304, 240)), writers.dat(EVENTS, 1), writers.dat(EVENTS, 2, (1280, 720), 0)]


def text() -> list[bytes]:
    return [
        writers.text(EVENTS),
        writers.text(EVENTS, "txyp", " ", "# t x y p"),
        writers.text(EVENTS, "txyp", ";", "t_us;x@346;y@260;p", "\r\n"),
        "﻿".encode() + writers.text(EVENTS, "pxyt", "\t"),
        b'x,y,t,p\n"1",2,3.5,true\n2,2,4,on\n3,1,9,off\n',
        "x,y,t,p\n1,2,3,1\n".encode("utf-16"),
    ]


def npy() -> list[bytes]:
    table = np.stack([EVENTS[name] for name in "xytp"], axis=1)
    arrays = (writers.structured(EVENTS), table, np.asfortranarray(table.astype(np.float32)), table.astype(">i4"))
    return [*(written(lambda path, array=array: np.save(path, array), "x.npy") for array in arrays), npz()[0]]


def tonic() -> list[bytes]:
    table = np.stack([EVENTS["x"], EVENTS["y"], EVENTS["p"], EVENTS["t"] // 1000], axis=1)
    return [written(lambda path, kind=kind: np.save(path, table.astype(kind)), "x.npy") for kind in ("i8", "f4", "u2")]


def npz() -> list[bytes]:
    return [
        written(lambda path: np.savez(path, **EVENTS), "x.npz"),
        written(lambda path: np.savez_compressed(path, **EVENTS), "x.npz"),
        written(lambda path: np.savez(path, events=writers.structured(EVENTS)), "x.npz"),
    ]


def npz_members() -> list[bytes]:
    found = []
    for kind in ("i8", "u4", "u1", "?"):
        parts = [EVENTS[name].astype(kind if name != "t" else "i8") for name in "txyp"]
        found.append(COMMAS.join(written(lambda path, part=part: np.save(path, part), "x.npy") for part in parts))
    return found


def h5() -> list[bytes]:
    import h5py

    def grouped(path: Path, **options: Any) -> None:
        with h5py.File(path, "w") as file:
            group = file.create_group("left/events")
            for name, values in EVENTS.items():
                group.create_dataset(name, data=values, **options)
            group.attrs.update(width=346, height=260)

    def whole(path: Path) -> None:
        with h5py.File(path, "w") as file:
            file["events"] = writers.structured(EVENTS)

    return [
        written(grouped),
        written(lambda path: grouped(path, compression="gzip", chunks=(4,))),
        written(lambda path: grouped(path, compression="lzf", shuffle=True, fletcher32=True)),
        written(whole),
    ]


def zip_of_recordings() -> list[bytes]:
    found = []
    for method in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        content = io.BytesIO()
        with zipfile.ZipFile(content, "w", method) as archive:
            archive.writestr("airplane/cifar10_airplane_0.aedat", writers.aedat2(EVENTS))
        found.append(content.getvalue())
    return found


def pickles() -> list[bytes]:
    pixels = np.arange(2 * 3072, dtype=np.uint8).reshape(2, 3072)
    batches: list[Any] = [{"data": pixels[:1], "labels": [1], "filenames": ["a"]}, {b"data": pixels, b"labels": (1, 2)}]
    batches.append({"data": np.asfortranarray(pixels), "labels": np.array([3, 4], ">i4")})
    batches.append({"data": pixels[:1], "labels": [np.int64(3)]})
    return [pickle.dumps(batch, protocol=protocol) for batch in batches for protocol in (0, 2, 4, 5)]


def binary() -> list[bytes]:
    return [bytes([1]) + bytes(3072), bytes([9]) + bytes(range(256)) * 12]


def images() -> list[bytes]:
    from PIL import Image, features

    pixels = np.random.default_rng(0).integers(0, 256, (12, 10, 4), dtype=np.uint8)
    modes = {"PNG": "RGBA", "JPEG": "RGB", "GIF": "P", "BMP": "RGB", "TIFF": "RGB", "PPM": "L", "TGA": "RGB"}
    modes |= {"ICO": "RGBA", "PCX": "L", "SGI": "RGB", "DDS": "RGB", "MSP": "1", "XBM": "1", "ICNS": "RGBA"}
    modes |= {"WEBP": "RGB"} if features.check("webp") else {}
    modes |= {"JPEG2000": "RGB"} if features.check("jpg_2000") else {}
    found = []
    for kind, mode in modes.items():
        image = Image.fromarray(pixels).convert(mode)
        found.append(written(lambda path, image=image, kind=kind: image.save(path, kind)))
    exif = Image.Exif()
    exif[0x0112] = 6
    image = Image.fromarray(pixels[..., :3])
    found.append(written(lambda path: image.save(path, "JPEG", exif=exif, progressive=True)))
    for compression in ("tiff_lzw", "tiff_deflate", "packbits", "jpeg"):
        found.append(written(lambda path, c=compression: image.save(path, "TIFF", compression=c)))
    for deep in (np.uint16, np.float32):
        grey = Image.fromarray(pixels[..., 0].astype(deep))
        found.append(written(lambda path, grey=grey: grey.save(path, "TIFF")))
    return found


def image_tables() -> list[bytes]:
    return [
        b"path,label,split\nx.csv,cat,train\nx.csv/../x.csv,dog,train\nb.png,dog,test\n",
        b"x.csv,1\n./x.csv,2\n",
        b'label;path\n"a b";"x.csv"\n1;b.png\n',
    ]


def tables() -> list[bytes]:
    return [
        b"class,startTime_usec,endTime_usec\n1,100,2000\n11,3000,4000\n",
        b'"class";"startTime_usec";"endTime_usec"\r\n"1";"100";"2000"\r\n',
        b"val_0.JPEG\tn1\t0\t0\t62\t62\nval_1.JPEG\tn1\t0\t0\t62\t62\n",
        b"user01_fluorescent.aedat\nx.csv\n",
    ]


def _tar(**options: Any) -> bytes:
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w", **options) as archive:
        for name in ("set", "set/" + "long" * 40, "set/batch"):
            member = tarfile.TarInfo(name)
            if name == "set":
                member.type = tarfile.DIRTYPE
                archive.addfile(member)
            else:
                member.size = 5
                archive.addfile(member, io.BytesIO(b"hello"))
    return content.getvalue()


def tars() -> list[bytes]:
    whole = io.BytesIO()
    with tarfile.open(fileobj=whole, mode="w") as archive:
        for kind in (tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE):
            member = tarfile.TarInfo(f"x{kind!r}")
            member.type, member.linkname = kind, "../outside"
            archive.addfile(member)
    formats = (tarfile.PAX_FORMAT, tarfile.GNU_FORMAT)
    named = [_tar(format=form, pax_headers={"comment": "x"}) for form in formats]
    return [*named, whole.getvalue()]


def tars_gz() -> list[bytes]:
    content = tars()[0]
    return [gzip.compress(content), gzip.compress(content, 0)]


def zips() -> list[bytes]:
    found = []
    for method in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA):
        content = io.BytesIO()
        with zipfile.ZipFile(content, "w", method) as archive:
            for name in ("set/a.txt", "set/b/", "../c", "/d"):
                archive.writestr(name, "" if name.endswith("/") else "hello" * 9)
        found.append(content.getvalue())
    return found


def caches() -> list[bytes]:
    arrays = [np.zeros((3, 2), np.uint8), np.arange(3)]
    meta = {"samples": 3, "mean": [0.5], "std": [0.1], "skipped": [], "version": 2}
    members = [written(lambda path, array=array: np.save(path, array), "x.npy") for array in arrays]
    return [COMMAS.join([json.dumps(meta).encode(), *members]), COMMAS.join([b'{"samples": 3}', *members])]


@cache
def network() -> Any:
    from clif.models import create_model

    return create_model("snn5_noAP", "CLIF", T=1, image_size=16, num_classes=2).eval()


def _thin() -> dict[str, Any]:
    """A state dict of a few bytes, whose tensors share their memory."""
    import torch

    memory = torch.zeros(())
    return {name: memory.expand(value.shape) for name, value in network().state_dict().items()}


def checkpoints() -> list[bytes]:
    import argparse

    import torch

    config, one = {"dataset": "digits", "model": "snn5_noAP", "T": 1}, torch.zeros(())
    contents: list[Any] = [
        {"net": _thin(), "model": network().config, "config": config, "epoch": 3, "history": [{"lr": 0.1}]},
        {"net": {"a.0.weight": one.expand(2, 3, 1, 1), "b": one.expand(4, 5)}, "max_test_acc": np.float64(0.5)},
        {"state_dict": {"a": one.expand(2, 2)}, "args": argparse.Namespace(a=1), "x": np.arange(3)},
    ]
    found = []
    for content in contents:
        for zipped in (True, False):
            buffer = io.BytesIO()
            torch.save(content, buffer, _use_new_zipfile_serialization=zipped)
            found.append(buffer.getvalue())
    return found


def checkpoint_pickles() -> list[bytes]:
    return [zipfile.ZipFile(io.BytesIO(content)).read("archive/data.pkl") for content in checkpoints()[::2]]


def safetensors() -> list[bytes]:
    import torch

    from clif.safetensors import write_safetensors

    tensors = {"a.0.weight": torch.zeros(2, 3, 1, 1), "b": torch.zeros(4, 5, dtype=torch.bfloat16)}
    return [written(lambda path: write_safetensors(path, tensors, {"model": network().config, "config": {"T": 1}}))]


def safetensors_headers() -> list[bytes]:
    content = safetensors()[0]
    plain = {"weight": {"dtype": "F32", "shape": [2, 3, 1, 1], "data_offsets": [0, 24]}}
    plain["b"] = {"dtype": "I64", "shape": [4, 5], "data_offsets": [24, 184]}
    return [content[8 : 8 + int.from_bytes(content[:8], "little")], json.dumps(plain).encode()]


def stream_states() -> list[bytes]:
    import torch

    from clif.deploy import StreamPredictor

    stream = StreamPredictor(network())
    stream(torch.zeros(1, 3, 16, 16))
    return [written(stream.save)]


def recipes() -> list[bytes]:
    import yaml

    from clif.train.recipe import RECIPES

    shipped = [path.read_bytes() for path in sorted(RECIPES.glob("*.yaml"))[:3]]
    plain = yaml.safe_dump({"dataset": "digits", "T": 2, "lr": "5e-4", "amp": False, "name": "x"}).encode()
    odd = b"a: &a [1, !!int '3', 2001-01-01, 1:20, .nan, null]\nb: {<<: {c: *a}}\nc: !!binary aGk=\n"
    return [*shipped, plain, b"dataset: digits\n" + odd, b"dataset: digits\nname: 2001-99-99\n"]


def costs() -> list[bytes]:
    return [b"{node_nm: 28, ac_pj: 0.5, mac_pj: 2.5}", b"memory_pj: [[0, 0], [1024, 1.5]]\nname: x\nword_bytes: 2\n"]


@cache
def _run_files() -> tuple[tuple[str, bytes], ...]:
    with tempfile.TemporaryDirectory() as folder:
        run = run_folders.write_run(Path(folder) / "run")
        run_folders.write_deployment(run)
        run_folders.write_energy(run)
        (run / "warnings.json").write_text(json.dumps([{"epoch": 1, "message": "a loss was not finite"}]))
        scores = {"top1": 0.9, "top5": 1.0, "loss": 0.3, "samples": 10, "images_per_second": 3.0, "T": 6}
        scores["classes"] = {"0": {"top1": 0.9, "samples": 10}}
        (run / "eval.json").write_text(json.dumps(scores))
        return tuple((str(p.relative_to(run)), p.read_bytes()) for p in sorted(run.rglob("*")) if p.is_file())


def run_files() -> dict[str, bytes]:
    """The files of a run's folder after all commands have written to it."""
    return dict(_run_files())


def runs() -> list[bytes]:
    return [bytes([number]) + content for number, (_, content) in enumerate(sorted(run_files().items()))]


def bench_reports() -> list[bytes]:
    timing = {"median": 1.0, "low": 0.9, "high": 1.1, "fastest": 0.8, "rounds": 3}
    row = {"name": "clif", "dtype": "float32", "timing": timing, "figures": {"GB/s": 3.0}, "note": ""}
    content = {"benchmark": "neuron", "settings": {"T": 6}, "machine": {"cpu": "x"}, "rows": [row]}
    return [json.dumps(content).encode()]


def nirs() -> list[bytes]:
    import nir

    nodes = {
        "input": nir.Input({"input": np.array([1, 4, 4])}),
        "conv": nir.Conv2d((4, 4), np.ones((2, 1, 3, 3), np.float32), 1, 1, 1, 1, np.zeros(2, np.float32)),
        "lif": nir.LIF(*(np.full((2, 4, 4), v, np.float32) for v in (2e-4, 1, 0, 1, 0))),
        "pool": nir.AvgPool2d(np.array([2, 2]), np.array([2, 2]), np.array([0, 0])),
        "flat": nir.Flatten({"input": np.array([2, 2, 2])}, 0, -1),
        "line": nir.Affine(np.ones((2, 8), np.float32), np.zeros(2, np.float32)),
        "output": nir.Output({"output": np.array([2])}),
    }
    names = list(nodes)
    graph = nir.NIRGraph(nodes, list(itertools.pairwise(names)), metadata={"dt": 1e-4}, type_check=False)
    return [written(lambda path: nir.write(path, graph))]


def programs() -> list[bytes]:
    folder = ROOT / "src" / "clif" / "csrc" / "generated"
    found = {b"states z coefficients - constants 1\n%0 = add x s0\nout %0 s0"}
    for path in folder.glob("*.hpp"):
        for lines in re.findall(r"// states .*\n(?:// .*\n)*?// out .*", path.read_text(encoding="utf-8")):
            found.add(lines.replace("// ", "").encode())
    return sorted(found)
