"""Check the files of a data set, convert them once for fast loading, show samples, or download it.

check reads every file and says what was found, how many samples each class has, and what is missing or damaged; its
exit code is 1 where something is. prepare converts recordings or JPEG files into a cache beside them, which training
otherwise does the first time it needs it. show draws samples before and after augmentation. download fetches a set that
has a public address into the folder, resumes what broke off, and checks it; nothing else ever downloads.
"""

import argparse
from pathlib import Path

from clif.cli.common import Parser, spellings

SHOWN = 20
OPTIONS = {"skip_damaged": "prepare", "out": "show", "cutupmix_auto": "show"}
"""Options that one action only takes."""


def add_arguments(parser: Parser) -> None:
    parser.add_argument("action", choices=("check", "prepare", "show", "download"), help="what to do")
    parser.add_argument("dataset", help="the data set, such as cifar10 or DVSCIFAR10")
    parser.add_argument(
        *spellings("data_dir"), dest="data_dir", default="./data", help="its folder, or the parent (default: ./data)"
    )
    parser.add_argument("-T", type=int, default=6, help="frames of a sample, for event data (default: 6)")
    parser.add_argument(
        *spellings("allow_incomplete"),
        dest="allow_incomplete",
        action="store_true",
        help="accept a set that lacks classes, or files that its own lists name",
    )
    parser.add_argument(
        *spellings("sort_events"),
        dest="sort_events",
        action="store_true",
        help="sort recordings whose times run backwards",
    )
    parser.add_argument("--skip-damaged", action="store_true", help="prepare: leave damaged files out")
    parser.add_argument("--out", help="show: the PNG file to write (default: DATASET.png)")
    parser.add_argument(
        *spellings("cutupmix_auto"), dest="cutupmix_auto", action="store_true", help="show: the strong augmentation"
    )
    parser.add_argument("--quiet", action="store_true", help="no progress bar")


def run(arguments: argparse.Namespace) -> int:
    from clif.data import get_dataset
    from clif.data.check import check_files, prepare_files
    from clif.errors import InputError

    dataset, root = get_dataset(arguments.dataset), Path(arguments.data_dir)
    if arguments.T < 1:
        raise InputError(f"-T must be at least 1 frame, got {arguments.T}")
    for option, action in OPTIONS.items():
        if getattr(arguments, option) and arguments.action != action:
            raise InputError(f"--{option.replace('_', '-')} belongs to clif data {action}")
    reading = {"allow_incomplete": arguments.allow_incomplete, "sort_events": arguments.sort_events}
    if arguments.action == "download" and any(reading.values()):
        raise InputError("--allow-incomplete and --sort-events belong to check, prepare and show")
    if arguments.action == "show":
        from clif.data.gallery import draw_gallery

        out = Path(arguments.out or f"{dataset.name}.png")
        reading["cutupmix_auto"] = arguments.cutupmix_auto
        for path in draw_gallery(dataset.name, root, out, arguments.T, **reading):
            print(path)
        return 0
    if arguments.action == "download":
        from clif.data.download import download

        download(dataset.name, root, arguments.quiet)
        print(f"{dataset.name} is in {root}")
        return 0
    if arguments.action == "prepare":
        for done in prepare_files(dataset, root, arguments.T, arguments.skip_damaged, arguments.quiet, **reading):
            size = done.arrays.images.nbytes / 2**20
            shape = "×".join(map(str, done.arrays.images.shape))
            print(f"{dataset.name} {done.part}: {shape} {done.arrays.images.dtype}, {size:.1f} MiB")
            list_up_to("left out", done.skipped)
        return 0
    whole = True
    for report in check_files(dataset, root, arguments.T, arguments.quiet, **reading):
        filled = {name: count for name, count in report.counts.items() if count}
        print(f"{dataset.name} {report.part} in {report.folder}: {report.samples} samples of {len(filled)} classes")
        if report.samples != report.published:
            print(f"  the published set has {report.published} samples of {dataset.num_classes} classes")
        if filled:
            print("  " + ", ".join(f"{name} {count}" for name, count in filled.items()))
        list_up_to("not there", report.absent)
        list_up_to("missing", report.missing)
        list_up_to("damaged", report.damaged)
        whole = whole and not report.missing and not report.damaged
    return 0 if whole else 1


def list_up_to(title: str, lines: list[str]) -> None:
    for line in lines[:SHOWN]:
        print(f"  {title}: {line}")
    if len(lines) > SHOWN:
        print(f"  {title}: {len(lines) - SHOWN} more")
