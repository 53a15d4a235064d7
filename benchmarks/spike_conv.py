"""Measure when convolutions of spikes as sums are faster than PyTorch's, for `clif.ops.spike_conv_limits`.

    python benchmarks/spike_conv.py [--rounds 7] [--threads 2]

The measurements go to benchmarks/results/KIND/spike_conv.json, where KIND is the instruction set that the kernels run
with; the lines of the table are printed. A lower set, with PyTorch lowered alike:

    CLIF_ISA=avx2 ATEN_CPU_CAPABILITY=avx2 ONEDNN_MAX_CPU_ISA=AVX2 python benchmarks/spike_conv.py

A measurement is a 3×3 convolution, forward or forward and the gradient of the weight, whichever compares worse. The
fastest of the rounds counts for both ways, because other programs on the machine disturb it least.
"""

import argparse
import json
import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import product
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

import clif
from clif.bench import machine
from clif.bench.measure import measure, threads
from clif.files import write_content
from clif.ops import isa, spike_conv
from clif.ops.spike_conv_limits import FALLBACK, NEVER, Limits, kind_of

RESULTS = Path(__file__).parent / "results"
RATES = (0.05, 0.1, 0.15, 0.2, 0.25, 0.3, 0.4)
CHANNELS = (16, 32, 64, 128, 256)
MAPS = ((1, 6), (2, 8), (6, 8), (16, 8), (12, 16), (6, 32), (48, 16))
"""The number of images, and the pixels per side."""
MOST_WORK = 1.3e9  # multiplications; larger cases take too long and show nothing new
MOST_WORK_BY_FALLBACK = 1e8
ALL = Limits(1.0, 1, 1)


def cases(dtype: torch.dtype) -> Iterator[tuple[int, int, int]]:
    """The channels, images and sides to measure."""
    most = MOST_WORK_BY_FALLBACK if kind_of(dtype) == FALLBACK else MOST_WORK
    for channels in CHANNELS:
        for images, side in MAPS:
            if channels * channels * 9 * images * side * side <= most:
                yield channels, images, side


def compare(dtype: torch.dtype, channels: int, images: int, side: int, rate: float, rounds: int) -> float:
    """Our time divided by PyTorch's."""
    torch.manual_seed(0)
    x = (torch.rand(images, channels, side, side) < rate).to(dtype).contiguous(memory_format=torch.channels_last)
    conv = clif.layers.Conv2d(channels, channels, 3, padding=1, bias=False, dtype=dtype)
    conv.to(memory_format=torch.channels_last)
    d_out = torch.randn(x.shape).to(dtype).contiguous(memory_format=torch.channels_last)

    def adding(x: Tensor) -> Tensor:
        out = spike_conv.convolve(conv, x, ALL)
        assert out is not None
        return out

    def multiplying(x: Tensor) -> Tensor:
        return torch.nn.functional.conv2d(x, conv.weight, padding=1)

    def backward(forward: Callable[[Tensor], Tensor]) -> Callable[[], Any]:
        return lambda: torch.autograd.grad(forward(x), conv.weight, d_out)

    def alone(forward: Callable[[Tensor], Tensor]) -> Callable[[], Any]:
        def run() -> Tensor:
            with torch.no_grad():
                return forward(x)

        return run

    found = []
    for kind in (alone, backward):
        runs = {"adding": kind(adding), "multiplying": kind(multiplying)}
        timings = measure(runs, rounds, torch.device("cpu"))
        found.append(timings["adding"].fastest / timings["multiplying"].fastest)
    return max(found)


SLOWER, SELDOM = 1.1, 0.05
"""A measurement is slower beyond this multiple of PyTorch's time, and this share of measurements may be slower."""


def limits_of(rows: Iterable[Mapping[str, Any]]) -> Limits:
    """The limits by measurements: dicts of "rate", "channels", "pixels" and "ratio", our time divided by PyTorch's.

    Among limits within which sums are seldom slower, it takes those that save most: with the greatest sum of
    −log(ratio) over the measurements within.
    """
    found = list(rows)
    best, most = NEVER, 0.0
    values = ({row[name] for row in found} for name in ("rate", "channels", "pixels"))
    for one in sorted(Limits(*each) for each in product(*values)):
        inside = [row["ratio"] for row in found if _is_within(row, one)]
        slower = sum(ratio > SLOWER for ratio in inside)
        saved = -sum(math.log(ratio) for ratio in inside)
        if saved > most and slower <= SELDOM * len(inside):
            best, most = one, saved
    return best


def _is_within(row: Mapping[str, Any], limits: Limits) -> bool:
    return row["rate"] <= limits.rate and row["channels"] >= limits.channels and row["pixels"] >= limits.pixels


def as_text(measured: Mapping[str, Any]) -> str:
    """The measurements as JSON, one per line."""
    plain = {key: value for key, value in measured.items() if key != "rows"}
    kinds = [f'"{kind}": [\n' + ",\n".join(map(json.dumps, rows)) + "\n]" for kind, rows in measured["rows"].items()]
    return json.dumps(plain, indent=1)[:-2] + ',\n "rows": {\n' + ",\n".join(kinds) + "\n}}\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    given = parser.parse_args()
    name = isa.NAMES[isa.current()]
    described = machine.describe(torch.device("cpu"), given.threads)
    rows: dict[str, list[dict[str, Any]]] = {}
    with threads(given.threads):
        for dtype in (torch.float32, torch.bfloat16, torch.float64):
            kind = kind_of(dtype)
            for channels, images, side in cases(dtype):
                where = {"channels": channels, "pixels": images * side * side}
                for rate in RATES:
                    ratio = compare(dtype, channels, images, side, rate, given.rounds)
                    rows.setdefault(kind, []).append({**where, "rate": rate, "ratio": round(ratio, 3)})
            print(f'{name}: "{kind}": {limits_of(rows[kind])}', flush=True)
    path = RESULTS / name / "spike_conv.json"
    text = as_text({"machine": described, "rounds": given.rounds, "rows": rows})
    write_content(path, text)


if __name__ == "__main__":
    main()
