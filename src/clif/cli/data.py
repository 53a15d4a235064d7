"""Check the files of a data set, convert them once for fast loading, show samples, or download it.

check reads every file and prints the samples of each class and the missing and damaged files; its exit code is 1 if
there are any. prepare converts recordings or image files to a cache beside them, which training otherwise does at its
first use. show draws samples before and after augmentation. download fetches a data set with a public address into the
folder, resumes interrupted downloads and checks the files; no other command downloads data. The sets images and events
are your own: --data-dir is their folder or, for images, a table of paths and labels.
"""

import argparse
from pathlib import Path
from typing import Any

from clif.cli.common import Parser, add_config_options, add_import_option, config_values
from clif.data_options import CHOSEN, DataOptions
from clif.names import flag
from clif.user_code import import_code

SHOWN = 20
OPTIONS = {
    "T": ("check", "prepare", "show"),
    "allow_incomplete": ("check", "prepare", "show"),
    "sort_events": ("check", "prepare", "show"),
    "skip_damaged": ("prepare",),
    "out": ("show",),
    "cutupmix_auto": ("show",),
    "quiet": ("check", "prepare", "download"),
}
"""Options that only some actions take."""


def add_arguments(parser: Parser) -> None:
    parser.add_argument("action", choices=("check", "prepare", "show", "download"), help="the action")
    parser.add_argument("dataset", help="the data set, such as cifar10, DVSCIFAR10, images or events")
    parser.add_argument(
        "--data-dir", metavar="FOLDER", default="./data", help="folder of the data set, or its parent (default: ./data)"
    )
    parser.add_argument(
        "--allow-incomplete",
        action="store_true",
        help="all but download: accept a set that lacks classes, or files that its own lists name",
    )
    parser.add_argument(
        "--sort-events",
        action="store_true",
        help="event data, all but download: sort recordings whose times run backwards",
    )
    parser.add_argument(
        "-T", type=int, metavar="N", help="event data, all but download: frames of a sample (default: 6)"
    )
    parser.add_argument("--skip-damaged", action="store_true", help="prepare: leave damaged files out")
    parser.add_argument("--out", metavar="FILE", help="show: the PNG file to write (default: DATASET.png)")
    parser.add_argument("--cutupmix-auto", action="store_true", help="show: use the strong augmentation")
    parser.add_argument("--quiet", action="store_true", help="all but show: show no progress bar")
    add_import_option(parser)
    add_config_options(parser, only=CHOSEN)


def run(arguments: argparse.Namespace) -> int:
    import_code(arguments.imports)
    from clif.data import open_dataset
    from clif.data.check import check_files, prepare_files
    from clif.data.registry import spelling
    from clif.errors import InputError

    name, root = spelling(arguments.dataset), Path(arguments.data_dir)
    chosen = {name: value for name, value in config_values(arguments).items() if name in CHOSEN}
    if arguments.action == "download" and chosen:
        raise InputError(f"{flag(next(iter(chosen)))} is an option of clif data check, prepare and show")
    for option, actions in OPTIONS.items():
        if getattr(arguments, option) not in (None, False) and arguments.action not in actions:
            *others, last = actions
            words = f"{', '.join(others)} and {last}" if others else last
            raise InputError(f"{flag(option)} is an option of clif data {words}")
    T = 6 if arguments.T is None else arguments.T
    if T < 1:
        raise InputError(f"-T must be at least 1 frame, got {T}")
    if arguments.action == "download":
        from clif.data.download import download

        download(name, root, arguments.quiet)
        print(f"{name} is in {root}")
        return 0
    options = DataOptions(**chosen)
    dataset = open_dataset(name, root, options)
    if arguments.T is not None and not dataset.events:
        raise InputError(f"-T needs event data; {dataset.name} has images")
    reading: dict[str, Any] = {"allow_incomplete": arguments.allow_incomplete, "sort_events": arguments.sort_events}
    if arguments.action == "show":
        from clif.data.gallery import draw_gallery

        out = Path(arguments.out or f"{dataset.name}.png")
        reading |= {"cutupmix_auto": arguments.cutupmix_auto, "options": options}
        for path in draw_gallery(dataset.name, root, out, T, **reading):
            print(path)
        return 0
    if arguments.action == "prepare":
        for done in prepare_files(dataset, root, T, arguments.skip_damaged, arguments.quiet, **reading):
            size = done.arrays.images.nbytes / 2**20
            shape = "×".join(map(str, done.arrays.images.shape))
            print(f"{dataset.name} {done.part}: {shape} {done.arrays.images.dtype}, {size:.1f} MiB")
            list_up_to("left out", done.skipped)
        return 0
    whole = True
    for report in check_files(dataset, root, T, arguments.quiet, **reading):
        filled = {name: count for name, count in report.counts.items() if count}
        print(f"{dataset.name} {report.part} in {report.folder}: {report.samples} samples of {len(filled)} classes")
        if report.published and report.samples != report.published:
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
