"""Train a network. Options override the recipe; without one the defaults are those of the original code."""

import argparse
import dataclasses
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from clif import memory
from clif.cli.common import Parser, add_config_options, add_import_option, config_values
from clif.cli.terminal import print_yaml
from clif.errors import InputError
from clif.output import silence_broken
from clif.paths import expand_home
from clif.train.interrupt import Interrupted, last_words
from clif.user_code import import_code, require

if TYPE_CHECKING:
    from clif.train.config import TrainConfig


def add_arguments(parser: Parser) -> None:
    parser.add_argument("recipe", nargs="?", help="the name of a recipe (see: clif recipes) or a YAML file")
    parser.add_argument("--seeds", metavar="N,N,…", help="train once with each seed and print mean ± std")
    parser.add_argument("--resume-run", metavar="RUN", help="resume the run in this folder")
    add_import_option(parser)
    parser.add_argument("--print-config", action="store_true", help="print the options as YAML, without training")
    parser.add_argument("--quiet", action="store_true", help="print only the result")
    parser.add_argument("--json-lines", action="store_true", help="print only JSON, one object per line")
    add_config_options(parser)


def run(arguments: argparse.Namespace) -> int:
    if _lean(arguments):
        memory.lean()
    else:
        memory.keep()
    import_code(arguments.imports)
    config = _config(arguments)
    if arguments.print_config:
        print_yaml(dataclasses.asdict(config))
        print(f"# run folder: {arguments.resume_run or config.run_folder()}")
        return 0
    try:
        return _train(config, arguments)
    except BrokenPipeError as error:
        silence_broken()
        raise Interrupted.by(error, "") from error


def _train(config: "TrainConfig", arguments: argparse.Namespace) -> int:
    from clif.train.callbacks import JsonLines
    from clif.train.engine import is_first_process

    quiet = arguments.quiet or arguments.json_lines
    callbacks = [JsonLines()] if arguments.json_lines else []
    summary: dict[str, Any]
    if arguments.seeds is not None:
        from clif.train.seeds import fit_seeds

        seeds = fit_seeds(config, _seeds(arguments.seeds), quiet, callbacks)
        summary, lines, where = seeds.summary, _describe_seeds(seeds.summary), f"summary: {seeds.path}"
    else:
        from clif.train import loop

        result = loop.fit(config, quiet, callbacks, arguments.resume_run)
        summary, lines, where = result.summary, _describe(result.summary), f"run folder: {result.folder}"
    if is_first_process():
        with last_words(where):
            if not arguments.json_lines:
                print("\n".join([*lines, where]))
            elif arguments.seeds is not None:
                JsonLines().write("seeds", **summary)
    return 0


def _lean(arguments: argparse.Namespace) -> bool:
    """The value of `lean_memory` in the options, the recipe or the run, which must be known before torch is loaded."""
    from clif.train.recipe import read_recipe
    from clif.train.resume import CONFIG

    given: dict[str, Any] = {}
    with suppress(InputError):  # the error is reported when the configuration is read
        run = arguments.resume_run and str(Path(expand_home(arguments.resume_run)) / CONFIG)
        if source := run or arguments.recipe:
            given = read_recipe(source)["config"]
    return {"lean_memory": True, **given, **config_values(arguments)}["lean_memory"] is not False


def _config(arguments: argparse.Namespace) -> "TrainConfig":
    from clif.train.config import resolve

    values = config_values(arguments)
    if arguments.seeds and "seed" in values:
        raise InputError("--seed is for a single run and --seeds for several; leave out one of them")
    from clif.train.resume import imports_of_run, needed_by_runs, read_run

    if arguments.resume_run is None:
        with needed_by_runs(arguments.recipe, values.get("resume"), values.get("pre_train")):
            return resolve(arguments.recipe, **values)
    for option, given in (("a recipe", arguments.recipe), ("--seeds", arguments.seeds)):
        if given:
            raise InputError(f"--resume-run takes everything from the run's folder; leave out {option}")
    require(imports_of_run(arguments.resume_run), arguments.resume_run)
    return read_run(arguments.resume_run, values)


def _seeds(text: str) -> list[int]:
    try:
        return [int(word) for word in text.split(",")]
    except ValueError:
        raise InputError(f"--seeds takes whole numbers separated by commas, such as 0,1,2; got {text!r}") from None


def _chosen(summary: dict[str, Any], which: str) -> str:
    return f", chosen on {summary['best_chosen_on']}" if which == "best" else ""


def _figures(summary: dict[str, Any]) -> list[tuple[str, str]]:
    """The epochs to report, each with the part of the data on which it was evaluated."""
    epochs = ("last", "best") if summary["best_chosen_on"] else ("last",)
    parts = [next((part for part in ("test", "val", "train") if f"{part}_top1" in summary[w]), "") for w in epochs]
    return list(zip(epochs, parts, strict=True))


def _describe(summary: dict[str, Any]) -> list[str]:
    return [
        f"{which} epoch ({summary[which]['epoch'] + 1}{_chosen(summary, which)}): "
        f"{part} top-1 {summary[which][f'{part}_top1']:.2%} top-5 {summary[which][f'{part}_top5']:.2%}"
        for which, part in _figures(summary)
    ]


def _describe_seeds(summary: dict[str, Any]) -> list[str]:
    number = len(summary["seeds"])
    lines = []
    for which, part in _figures(summary):
        top1, top5 = (summary[which][f"{part}_{name}"] for name in ("top1", "top5"))
        scores = f"{part} top-1 {top1['mean']:.2%} ± {top1['std']:.2%} top-5 {top5['mean']:.2%} ± {top5['std']:.2%}"
        lines.append(f"{which} epoch{_chosen(summary, which)}, {number} seeds: {scores}")
    return lines
