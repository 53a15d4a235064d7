"""Speed of event readers, integration and loaders: median and spread of several runs, after a check of the results.

    python benchmarks/data.py [--events N] [--data-dir D --dataset cifar10 …] [--threads 1] [--workers 0]

Without --dataset it measures the readers and the integration on random recordings of N events; with it, augmented
training samples per second of that set.
"""

import argparse
import statistics
import struct
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch

from clif.data import create_loader, events

RUNS = 5


def measure(title: str, count: int, unit: str, run: Callable[[], object]) -> None:
    run()
    rates = []
    for _ in range(RUNS):
        begin = time.perf_counter()
        run()
        rates.append(count / (time.perf_counter() - begin))
    low, middle, high = min(rates), statistics.median(rates), max(rates)
    print(f"{title:<28} {middle:14,.0f} {unit}/s  ({low:,.0f} … {high:,.0f})", flush=True)


def write_recordings(folder: Path, n: int) -> dict[str, tuple[Path, Callable, dict[str, np.ndarray]]]:
    """One recording of n events in each format, with its reader and the expected result."""
    rng = np.random.default_rng(0)
    p = rng.integers(0, 2, n)
    found = {}
    for name, read, size, last in (
        ("aedat2", events.read_aedat2, 128, 2**32),
        ("aedat3", events.read_aedat3, 128, 2**31),
        ("nmnist", events.read_nmnist, 34, 2**23),
    ):
        x, y = rng.integers(0, size, (2, n))
        t = np.sort(rng.integers(0, last, n))
        if name == "aedat2":
            content = b"#!AER-DAT2.0\r\n" + np.stack([y << 8 | x << 1 | p, t], 1).astype(">u4").tobytes()
        elif name == "aedat3":
            words = np.stack([x << 17 | y << 2 | p << 1 | 1, t], 1).astype("<u4")
            packets = [words[i : i + 1000] for i in range(0, n, 1000)]
            heads = [struct.pack("<HHiiiiii", 1, 0, 8, 4, 0, *[len(packet)] * 3) for packet in packets]
            body = b"".join(head + packet.tobytes() for head, packet in zip(heads, packets, strict=True))
            content = b"#!AER-DAT3.1\r\n#!END-HEADER\r\n" + body
        else:
            content = np.stack([x, y, p << 7 | t >> 16, t >> 8 & 255, t & 255], 1).astype(np.uint8).tobytes()
        (folder / name).write_bytes(content)
        found[name] = (folder / name, read, {"t": t, "x": x, "y": y, "p": p})
    return found


def measure_events(n: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        for name, (path, read, expected) in write_recordings(Path(folder), n).items():
            got = read(path)
            assert all((got[key] == expected[key]).all() for key in "txyp"), name
            measure(f"read {name}", n, "events", lambda read=read, path=path: read(path))
    for split_by in ("number", "time"):
        assert events.integrate(got, 10, split_by=split_by).sum() == n
        measure(f"integrate by {split_by}", n, "events", lambda by=split_by: events.integrate(got, 10, split_by=by))


def measure_loader(dataset: str, root: Path, T: int, workers: int) -> None:
    for strong in (False, True):
        try:
            loader = create_loader(dataset, root, batch_size=128, T=T, workers=workers, cutupmix_auto=strong)
        except ValueError as error:
            print(error)
            continue
        title = f"{dataset}{' -cutupmix_auto' if strong else ''}"
        measure(title, loader.num_samples, "samples", lambda loader=loader: [None for _ in loader])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--events", type=int, default=5_000_000)
    parser.add_argument("--dataset")
    parser.add_argument("--data-dir", type=Path, default=Path("data"))
    parser.add_argument("-T", type=int, default=10)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--workers", type=int, default=0)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    if arguments.dataset:
        measure_loader(arguments.dataset, arguments.data_dir, arguments.T, arguments.workers)
    else:
        measure_events(arguments.events)


if __name__ == "__main__":
    main()
