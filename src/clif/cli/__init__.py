"""The program `clif`: one thin module per command. Wrong input prints one line on stderr and ends with exit code 2."""

import importlib
import sys

import clif
from clif.cli.common import Parser, hint_at_imports
from clif.cli.terminal import every_character_printable
from clif.errors import InputError, unknown_name
from clif.output import flush, silence, silence_broken
from clif.train.interrupt import Interrupted

COMMANDS = {
    "demo": "train CLIF and LIF on digits, deploy both, and write a page about them (2 minutes)",
    "train": "train a network by a recipe or by options",
    "eval": "measure accuracy and throughput of a checkpoint",
    "predict": "predict the classes of images or recordings, step by step",
    "deploy": "run a trained CLIF network as plain LIF",
    "export": "write a network for other tools: NIR, ONNX or torch.export",
    "analyze": "measure rates, spikes, states, similarity and the gradient through time in networks",
    "energy": "estimate the energy of an inference from measured firing rates",
    "report": "write a page about runs: curves, results, firing rates, energy, deployment",
    "experiment": "compare neurons, time steps, gradient windows, τ, exchange or deployment over seeds",
    "reproduce": "show a row of the paper, its command, and your runs that repeat it",
    "data": "check, prepare, show or download a data set",
    "bench": "measure speed and memory of neurons, training steps and inference on this machine",
    "cache": "show or delete the compiled kernels of neurons",
    "models": "list the networks",
    "recipes": "list the training recipes",
    "completion": "print a script that completes clif's command lines in your shell",
}


def make_parser() -> Parser:
    """The parser of the program, which lists the commands but not their options."""
    parser = Parser(
        prog="clif",
        usage="clif COMMAND [options]",
        description="Train, measure and deploy spiking neural networks with the CLIF neuron.",
        epilog="clif COMMAND --help describes a command's options.",
    )
    parser.add_argument("--version", action="version", version=f"clif {clif.__version__}")
    commands = parser.add_subparsers(title="commands")
    for name, text in COMMANDS.items():
        commands.add_parser(name, help=text)
    return parser


def command_parser(name: str) -> Parser:
    """The parser of one command."""
    command = importlib.import_module(f"clif.cli.{name}")
    parser = Parser(prog=f"clif {name}", description=command.__doc__)
    command.add_arguments(parser)
    return parser


def run(arguments: list[str]) -> int:
    """Run one command; raises `InputError` for wrong input. `help COMMAND` is the command's --help."""
    if arguments[:1] == ["help"]:
        arguments = [*arguments[1:2], "--help"]
    if not arguments or arguments[0].startswith("-"):
        parser = make_parser()
        parser.parse(arguments)
        parser.print_help()
        return 0
    name, *rest = arguments
    if name not in COMMANDS:
        raise unknown_name("command", name, COMMANDS)
    parsed = command_parser(name).parse(rest)
    with hint_at_imports(parsed):
        return importlib.import_module(f"clif.cli.{name}").run(parsed)


def main(arguments: list[str] | None = None) -> int:
    """The entry point: exit code 0, 2 for a mistake of the user, 128 + signal after an interruption."""
    with every_character_printable():
        return _main(sys.argv[1:] if arguments is None else arguments)


def _main(arguments: list[str]) -> int:
    try:
        return _run_and_flush(arguments)
    except InputError as error:
        return _say(f"error: {error}", 2)
    except Interrupted as stop:
        return _say(str(stop), 128 + stop.signum)
    except KeyboardInterrupt:
        return _say("interrupted", 130)
    except BrokenPipeError:
        return 0
    except OSError as error:
        return _say(f"error: {error}", 2)


def _run_and_flush(arguments: list[str]) -> int:
    """Run a command and flush its output, however it ends."""
    try:
        code = run(arguments)
    except BaseException:
        silence_broken()
        raise
    flush()
    return code


def _say(text: str, code: int) -> int:
    try:
        print(f"clif: {text}", file=sys.stderr, flush=True)
    except BrokenPipeError:
        silence(sys.stderr)
    return code
