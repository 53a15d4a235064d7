"""Check the files of a data set, or convert them once for fast loading.

check reads every file and says what was found, how many samples each class has, and what is missing or damaged; its
exit code is 1 where something is. prepare converts recordings or JPEG files into a cache beside them, which training
otherwise does the first time it needs it.
"""

import argparse
from pathlib import Path

from clif.cli.common import Parser, spellings

SHOWN = 20


def add_arguments(parser: Parser) -> None:
    parser.add_argument("action", choices=("check", "prepare"), help="check or prepare")
    parser.add_argument("dataset", help="the data set, such as cifar10 or DVSCIFAR10")
    parser.add_argument(
        *spellings("data_dir"), dest="data_dir", default="./data", help="its folder, or the parent (default: ./data)"
    )
    parser.add_argument("-T", type=int, default=6, help="frames of a sample, for event data (default: 6)")
    parser.add_argument("--skip-damaged", action="store_true", help="prepare: leave damaged files out")
    parser.add_argument("--quiet", action="store_true", help="no progress bar")


def run(arguments: argparse.Namespace) -> int:
    from clif.data import get_dataset
    from clif.data.check import check_files, prepare_files
    from clif.errors import InputError

    dataset, root = get_dataset(arguments.dataset), Path(arguments.data_dir)
    if arguments.T < 1:
        raise InputError(f"-T must be at least 1 frame, got {arguments.T}")
    if arguments.action == "prepare":
        for done in prepare_files(dataset, root, arguments.T, arguments.skip_damaged, arguments.quiet):
            size = done.arrays.images.nbytes / 2**20
            shape = "×".join(map(str, done.arrays.images.shape))
            print(f"{dataset.name} {done.part}: {shape} {done.arrays.images.dtype}, {size:.1f} MiB")
            show("left out", done.skipped)
        return 0
    if arguments.skip_damaged:
        raise InputError("--skip-damaged belongs to prepare; check lists what is damaged")
    whole = True
    for report in check_files(dataset, root, arguments.T, arguments.quiet):
        filled = {name: count for name, count in report.counts.items() if count}
        print(f"{dataset.name} {report.part} in {report.folder}: {report.samples} samples of {len(filled)} classes")
        if report.samples != report.published:
            print(f"  the published set has {report.published} samples of {dataset.num_classes} classes")
        if filled:
            print("  " + ", ".join(f"{name} {count}" for name, count in filled.items()))
            show("without a sample", [name for name in report.counts if name not in filled])
        show("missing", report.missing)
        show("damaged", report.damaged)
        whole = whole and not report.missing and not report.damaged
    return 0 if whole else 1


def show(title: str, lines: list[str]) -> None:
    for line in lines[:SHOWN]:
        print(f"  {title}: {line}")
    if len(lines) > SHOWN:
        print(f"  {title}: {len(lines) - SHOWN} more")
