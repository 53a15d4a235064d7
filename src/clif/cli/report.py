"""Write one page about runs: curves, final results with significance tests, firing rates, energy, deployment, options.

RUN is a run's folder, a folder with runs, or the summary file of clif train --seeds. Runs that differ only in the seed
form one group. The page needs no network access and no other file. It contains all its figures (SVG, PDF, PNG, CSV) and
tables (CSV, LaTeX, Markdown), which are also in the folder PAGE_files beside it. It shows the results of clif eval,
energy and deploy if there are any. With --live the page follows runs while they train.
"""

import argparse
from pathlib import Path

from clif.cli.common import Parser, add_import_option, bool_argument, quiet_matplotlib
from clif.errors import InputError
from clif.user_code import import_code


def add_arguments(parser: Parser) -> None:
    parser.add_argument("runs", nargs="+", metavar="RUN", help="runs to report on")
    parser.add_argument("--out", metavar="PAGE.html", default="report.html", help="the page (default: ./report.html)")
    parser.add_argument(
        "--title", metavar="TEXT", default="", help="its title (default: the options in which the groups differ)"
    )
    parser.add_argument(
        "--files",
        type=bool_argument,
        nargs="?",
        const=True,
        default=True,
        metavar="BOOL",
        help="also write figures and tables to PAGE_files (default: True; off: --no-files)",
    )
    parser.add_argument("--live", action="store_true", help="rewrite the page after each epoch, until the runs end")
    parser.add_argument(
        "--every", type=int, metavar="SECONDS", help="--live: seconds between reloads of the page (default: 10)"
    )
    parser.add_argument(
        "--measure",
        type=int,
        metavar="N",
        help="first measure firing rates and energy on N test images, in runs without energy.json (clif energy)",
    )
    add_import_option(parser)


def run(arguments: argparse.Namespace) -> int:
    quiet_matplotlib()
    if arguments.every is not None and not arguments.live:
        raise InputError("--every needs --live")
    if arguments.imports and arguments.measure is None:
        raise InputError("--import needs --measure; a report alone runs no code of yours")
    if arguments.measure is not None and arguments.measure < 1:
        raise InputError(f"--measure must be at least 1 image, got {arguments.measure}")
    if arguments.measure is not None and arguments.live:
        raise InputError("--measure needs finished runs; leave out --live")
    page = Path(arguments.out)
    if page.suffix.lower() not in (".html", ".htm"):
        raise InputError(f"--out {page}: the page must be a .html file")
    from clif.report.content import make_report
    from clif.report.page import files_folder, write_page
    from clif.report.runs import find_runs

    if arguments.live:
        from clif.report.live import follow

        follow(
            arguments.runs, page, 10 if arguments.every is None else arguments.every, arguments.title, arguments.files
        )
    else:
        runs = find_runs(arguments.runs)
        if arguments.measure is not None:
            import_code(arguments.imports)
            from clif.energy.checkpoint import estimate_checkpoint

            for one in runs:
                if one.energy:
                    continue
                if not one.has_checkpoint:
                    print(f"not measured: {one.name} has no checkpoint yet", flush=True)
                    continue
                print(f"measuring {one.name}", flush=True)
                estimate_checkpoint(one.folder, images=arguments.measure)
            runs = find_runs(arguments.runs)
        report = make_report(runs, arguments.title)
        write_page(report, page, arguments.files)
        for verdict in report.verdicts:
            print(verdict)
        for whose, what in report.cautions:
            print(f"warning: {whose}: {what}")
    if arguments.files:
        print(f"figures and tables: {files_folder(page)}")
    print(f"page: {page.resolve()}")
    return 0
