"""Several networks side by side, as a table in JSON, CSV, Markdown or LaTeX."""

import csv
import io
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from clif.energy.count import Energy, LayerCount
from clif.errors import InputError
from clif.files import write_content
from clif.markup import escape_latex, escape_markdown

COLUMNS = ("layer", "network", "kind", "rate", "SOPs", "ACs", "MACs", "updates", "stored_bytes", "moved_bytes")
ENERGIES = ("operations_uJ", "memory_uJ")
TOTAL = "total"
Row = dict[str, Any]


@dataclass(frozen=True)
class Comparison:
    """Energies by the name of the network.

    `rows` has one row per layer and network, sorted by layer, and at the end one total per network.

    >>> net = nn.Sequential(clif.layers.Linear(4, 8), clif.CLIFNode(step_mode="m"), clif.layers.Linear(8, 2))
    >>> energy = clif.energy.estimate(net, [(torch.rand(6, 32, 4), None)])
    >>> found = clif.energy.Comparison({"net": energy})
    >>> [(row["layer"], row["network"]) for row in found.rows]
    [('0', 'net'), ('2', 'net'), ('1', 'net'), ('total', 'net')]
    """

    networks: dict[str, Energy]

    @property
    def rows(self) -> list[Row]:
        layers = {name: {layer.name: layer for layer in energy.layers} for name, energy in self.networks.items()}
        order = list(dict.fromkeys(layer for named in layers.values() for layer in named))
        rows = [_row(layer, name, named[layer]) for layer in order for name, named in layers.items() if layer in named]
        return rows + [_total(name, energy) for name, energy in self.networks.items()]

    @property
    def totals(self) -> list[Row]:
        """One row per network: its total, T, and the memory model as published."""
        return [
            {**_total(name, energy), "T": energy.T, "published_mJ": energy.published.total_mJ}
            for name, energy in self.networks.items()
        ]

    def as_dict(self) -> dict[str, Any]:
        """Plain values, for JSON."""
        return {"networks": {name: energy.as_dict() for name, energy in self.networks.items()}}

    def to_json(self) -> str:
        return json.dumps(self.as_dict(), indent=2)

    def to_csv(self) -> str:
        """`rows` with all digits; empty if a value does not apply."""
        text = io.StringIO()
        writer = csv.DictWriter(text, (*COLUMNS, *ENERGIES), lineterminator="\n")
        writer.writeheader()
        writer.writerows(self.rows)
        return text.getvalue()

    def to_markdown(self) -> str:
        """`rows` as a table of Markdown, numbers rounded to four digits."""
        header, *body = [[escape_markdown(cell) for cell in line] for line in self._cells()]
        lines = [header, ["---"] * 3 + ["---:"] * (len(header) - 3), *body]
        return "".join(f"| {' | '.join(line)} |\n" for line in lines)

    def to_latex(self) -> str:
        """`rows` as a tabular of LaTeX."""
        header, *body = [[escape_latex(cell) for cell in line] for line in self._cells()]
        lines = [f"{' & '.join(line)} \\\\" for line in body]
        first_total = len(lines) - len(self.networks)
        lines.insert(first_total, "\\hline")
        columns = "l" * 3 + "r" * (len(header) - 3)
        top = [f"\\begin{{tabular}}{{{columns}}}", "\\hline", f"{' & '.join(header)} \\\\", "\\hline"]
        return "\n".join([*top, *lines, "\\hline", "\\end{tabular}", ""])

    def write(self, path: str | Path) -> None:
        """Write a file by its suffix, .json, .csv, .md or .tex, completely or not at all.

        Raises `InputError` for another suffix and a file that cannot be written.
        """
        check_suffix(path)
        _write(Path(path), WRITERS[Path(path).suffix](self))

    def _cells(self) -> list[list[str]]:
        header = ["layer", "network", "kind", "rate", "SOPs", "ACs", "MACs", "updates", "stored kB", "moved kB"]
        lines = [[*header, "µJ", "µJ with memory"]]
        for row in self.rows:
            texts = [str(row[name]) for name in ("layer", "network", "kind")]
            numbers = [row[name] for name in ("rate", "SOPs", "ACs", "MACs", "updates")]
            numbers += [row["stored_bytes"] / 1e3, row["moved_bytes"] / 1e3, row["operations_uJ"], row["memory_uJ"]]
            lines.append([*texts, *("" if number is None else short(number) for number in numbers)])
        return lines


def compare(energies: Mapping[str, Energy] | Sequence[Energy]) -> Comparison:
    """Energies side by side, by name, or as a sequence named by their neurons (ANN without neurons).

    Raises `InputError` if there are none.

        >>> loader, found = [(torch.rand(6, 32, 4), None)], []
        >>> for node in (clif.CLIFNode, clif.LIFNode):
        ...     net = nn.Sequential(clif.layers.Linear(4, 8), node(step_mode="m"), clif.layers.Linear(8, 2))
        ...     found.append(clif.energy.estimate(net, loader))
        >>> [row["network"] for row in clif.energy.compare(found).totals]
        ['CLIF', 'LIF']
    """
    if isinstance(energies, Mapping):
        named = dict(energies)
    else:
        named = {}
        for energy in energies:
            kind = energy.neuron if energy.firing_rates else "ANN"
            same = sum(name == kind or name.startswith(f"{kind} (") for name in named)
            named[f"{kind} ({same + 1})" if same else kind] = energy
    if not named:
        raise InputError("give at least one result of clif.energy.estimate to compare")
    return Comparison(named)


WRITERS: dict[str, Callable[[Comparison], str]] = {
    ".json": Comparison.to_json,
    ".csv": Comparison.to_csv,
    ".md": Comparison.to_markdown,
    ".tex": Comparison.to_latex,
}


def check_suffix(path: str | Path) -> None:
    """Raise `InputError` unless a file's suffix says a format that can be written."""
    if Path(path).suffix not in WRITERS:
        raise InputError(f"{path}: the suffix sets the format; use one of {', '.join(WRITERS)}")


def write_single(path: str | Path, energy: Energy) -> None:
    """Write one network in the formats of `Comparison.write`; in JSON it is `energy.as_dict()`. Raises `InputError`."""
    if Path(path).suffix == ".json":
        _write(Path(path), json.dumps(energy.as_dict(), indent=2))
    else:
        compare([energy]).write(path)


def _write(path: Path, text: str) -> None:
    try:
        write_content(path, text)
    except OSError as error:
        raise InputError(f"{path} cannot be written: {error}") from error


def short(number: float) -> str:
    """A count with commas, other numbers with four digits."""
    return f"{number:,.0f}" if abs(number) >= 1000 or number == int(number) else f"{number:.4g}"


def _row(layer: str, network: str, count: LayerCount) -> Row:
    counts = {"SOPs": count.sops, "ACs": count.acs, "MACs": count.macs, "updates": count.updates}
    memory = {"stored_bytes": count.stored_bytes, "moved_bytes": count.moved_bytes}
    energies = {"operations_uJ": count.operations / 1e6, "memory_uJ": count.memory / 1e6}
    return {"layer": layer, "network": network, "kind": count.kind, "rate": count.rate, **counts, **memory, **energies}


def _total(network: str, energy: Energy) -> Row:
    counts = {"SOPs": energy.sops, "ACs": energy.acs, "MACs": energy.macs, "updates": energy.updates}
    memory = {"stored_bytes": energy.stored_bytes, "moved_bytes": energy.moved_bytes}
    joules = {"operations_uJ": energy.microjoule, "memory_uJ": energy.memory_millijoule * 1e3}
    names = {"layer": TOTAL, "network": network, "kind": "", "rate": energy.firing_rate}
    return {**names, **counts, **memory, **joules}
