"""List the compiled kernels of your own neurons, or delete them.

They are in the folder $CLIF_CACHE, or in clif's folder in your cache folder. A unit holds the kernels of one neuron for
one dtype and instruction set. clif compiles it at its first use, and again if its SHA-256 shows damage. It compiles
deleted units again at their next use; running programs keep the kernels that they have loaded.
"""

import argparse
import time
from pathlib import Path

from clif.cli.common import Parser
from clif.errors import InputError

UNITS_OF_TIME = (("day", 86400), ("hour", 3600), ("minute", 60), ("second", 1))


def add_arguments(parser: Parser) -> None:
    parser.add_argument("--clear", action="store_true", help="delete the kernels, and nothing else in the folder")


def run(arguments: argparse.Namespace) -> int:
    from clif.generate import cache

    place = cache.chosen_folder()
    if not place.exists():
        print(f"{place}: nothing is kept yet")
        return 0
    if not place.is_dir():
        raise InputError(f"{place} is not a folder; delete it, or set CLIF_CACHE to a folder")
    if not cache.is_private(place):
        raise InputError(
            f"{place} is not used: other users can write to it, or you cannot; "
            "change its owner or mode (chmod 700), or set CLIF_CACHE to another folder"
        )
    if arguments.clear:
        _clear(place)
    else:
        _show(place)
    return 0


def _clear(place: Path) -> None:
    from clif.generate import cache

    cleared = cache.clear(place)
    print(f"{place}: deleted {_count(cleared.files, 'file')}, {_size(cleared.size)}")
    if cleared.left:
        print(f"{_count(cleared.left, 'unit')} left, which another process is compiling")


def _show(place: Path) -> None:
    from clif.generate import cache

    files = [path for paths in cache.files(place).values() for path in paths]
    units = cache.units(place)
    size = sum(path.stat().st_size for path in files if path.exists())
    print(f"{place}: {_count(len(units), 'unit')}, {_count(len(files), 'file')}, {_size(size)}")
    for unit in units:
        state = "intact" if unit.whole else "damaged"
        print(f"  {unit.path.name}  {_size(unit.size):>9}  {_age(time.time() - unit.compiled):>10} old  {state}")


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"


def _size(size: int) -> str:
    return f"{size / 1e6:.1f} MB" if size >= 1e6 else f"{size / 1e3:.1f} kB"


def _age(seconds: float) -> str:
    name, length = next((one for one in UNITS_OF_TIME if seconds >= one[1]), UNITS_OF_TIME[-1])
    return _count(int(max(seconds, 0) // length), name)
