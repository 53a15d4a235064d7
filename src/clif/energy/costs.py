"""The costs of operations and memory accesses: constants of a technology, as parameters."""

import dataclasses
import itertools
import math
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from clif.errors import InputError, MissingFileError, unknown_name
from clif.plain_files import read_yaml

HOROWITZ = "Horowitz, Computing's energy problem, ISSCC 2014"
LEMAIRE = "Lemaire et al., An analytical estimation of spiking neural networks energy efficiency, 2022"


@dataclass(frozen=True)
class Costs:
    """Energies in pJ. The defaults are the paper's: 45 nm, 32 bits.

    Args:
        name: its name in tables.
        node_nm: process node in nm, or None if it is not known.
        ac_pj, mac_pj: an accumulation, and a multiply-accumulate, in the model of operations alone (Table 6; 32-bit
            floating point).
        add_pj, multiply_pj: an addition and a multiplication in the model with memory (Table 7; 32-bit integers).
        memory_pj: pairs (bytes, pJ) in rising order: the cost of an access to a memory of that size. Between the pairs
            the cost is linear, beyond them constant.
        word_bytes: bytes of a weight, a state and a value, and of an access.
        source: where the numbers are published.

    Raises `InputError` for a number that is not finite or is negative, and for sizes that do not rise.

        >>> clif.energy.Costs(name="mine", node_nm=28, ac_pj=0.5, mac_pj=2.0).ac_pj
        0.5
    """

    name: str = "45nm"
    node_nm: float | None = 45
    ac_pj: float = 0.9
    mac_pj: float = 4.6
    add_pj: float = 0.1
    multiply_pj: float = 3.1
    memory_pj: tuple[tuple[float, float], ...] = ((0, 0), (8192, 10), (32768, 20), (1048576, 100))
    word_bytes: int = 4
    source: str = f"{HOROWITZ}; {LEMAIRE}"

    def __post_init__(self) -> None:
        for name in ("ac_pj", "mac_pj", "add_pj", "multiply_pj"):
            _check(name, getattr(self, name))
        if self.node_nm is not None:
            _check("node_nm", self.node_nm, above=0)
        if not isinstance(self.word_bytes, int) or isinstance(self.word_bytes, bool) or self.word_bytes < 1:
            raise InputError(f"word_bytes of the costs must be a whole number of at least 1, got {self.word_bytes!r}")
        for name in ("name", "source"):
            if not isinstance(getattr(self, name), str):
                raise InputError(f"{name} of the costs must be a string, got {getattr(self, name)!r}")
        object.__setattr__(self, "memory_pj", _points(self.memory_pj))

    def access_pj(self, size: float) -> float:
        """pJ of one access to a memory of so many bytes."""
        points = self.memory_pj
        if size <= points[0][0]:
            return points[0][1]
        for (low, cost_low), (high, cost_high) in itertools.pairwise(points):
            if size <= high:
                return cost_low + (size - low) * (cost_high - cost_low) / (high - low)
        return points[-1][1]

    @classmethod
    def from_dict(cls, values: Mapping[str, Any], where: str = "the costs") -> Self:
        """Costs from names and values; those left out are the paper's. Raises `InputError` for an unknown name."""
        known = [field.name for field in dataclasses.fields(cls)]
        for name in values:
            if name not in known:
                raise unknown_name(f"key of {where}", name, known)
        return cls(**values)


def _check(name: str, value: Any, above: float | None = None) -> None:
    number = isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
    if not number or value < 0 or value == above:
        least = "above 0" if above == 0 else "of at least 0"
        raise InputError(f"{name} of the costs must be a finite number {least}, got {value!r}")


def _points(points: Any) -> tuple[tuple[float, float], ...]:
    try:
        pairs = tuple((size, cost) for size, cost in points)
    except (TypeError, ValueError):
        raise InputError(f"memory_pj of the costs must be pairs [bytes, pJ], got {points!r}") from None
    for size, cost in pairs:
        _check("memory_pj", size)
        _check("memory_pj", cost)
    if not pairs or any(low >= high for (low, _), (high, _) in itertools.pairwise(pairs)):
        raise InputError(f"memory_pj of the costs must be at least one pair, sorted by bytes, got {points!r}")
    return pairs


PAPER = Costs()
"""The constants of the CLIF paper."""

COSTS: dict[str, Costs] = {
    costs.name: costs
    for costs in (
        PAPER,
        Costs("45nm-float16", 45, 0.4, 1.5, 0.4, 1.1, word_bytes=2, source=HOROWITZ),
        Costs("45nm-int8", 45, 0.03, 0.23, 0.03, 0.2, word_bytes=1, source=HOROWITZ),
    )
}
"""Published constants by name."""


def find_costs(name_or_file: str | os.PathLike[str]) -> Costs:
    """Costs by name, or from a YAML or JSON file with the attributes of `Costs`; those left out are the paper's.

    Raises `InputError` for an unknown name, a file that cannot be read, and wrong values.

    >>> _ = Path("chip.yaml").write_text("{node_nm: 28, ac_pj: 0.5, mac_pj: 2.5}")
    >>> clif.energy.find_costs("chip.yaml").mac_pj, clif.energy.find_costs("45nm").mac_pj
    (2.5, 4.6)
    """
    if str(name_or_file) in COSTS:
        return COSTS[str(name_or_file)]
    path = Path(name_or_file)
    if not path.is_file():
        if path.suffix in (".yaml", ".yml", ".json"):
            raise MissingFileError(f"{path}: no such file of costs")
        raise unknown_name("name of costs", name_or_file, [*COSTS, "FILE.yaml"])
    values = read_yaml(path, "file of costs")
    if not isinstance(values, dict):
        raise InputError(f"{path} must have lines 'name: value', such as ac_pj: 0.9")
    try:
        return Costs.from_dict({"name": path.stem, "node_nm": None, "source": path.name, **values}, str(path))
    except InputError as error:
        raise error if str(path) in str(error) else InputError(f"{path}: {error}") from error
