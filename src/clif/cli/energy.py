"""Estimate the energy of an inference from the firing rates of networks on test images.

The figures are for a model of an idealised chip and serve to compare networks. The default costs are those of 45 nm,
0.9 pJ per accumulation and 4.6 pJ per multiplication. A second model adds memory accesses after Lemaire et al. (2022).
"as published" counts as the CLIF paper did and reproduces its Table 7. Several checkpoints are compared layer by layer.
docs/energy.md has the formulas.
"""

import argparse
import dataclasses
from typing import TYPE_CHECKING, Any

from clif.cli.common import Parser, add_config_options, add_import_option, config_values
from clif.user_code import import_code

if TYPE_CHECKING:
    from clif.energy import Comparison, Costs, Energy

OPTIONS = (
    *("dataset", "data_dir", "allow_incomplete", "sort_events", "test_split", "split_seed", "j"),
    *("model", "neuron", "T", "tau", "b", "device"),
)


def add_arguments(parser: Parser) -> None:
    parser.add_argument(
        "checkpoint", nargs="+", help="a checkpoint, a run folder (its best checkpoint), or pretrained:NAME"
    )
    parser.add_argument("--images", type=int, default=1000, metavar="N", help="test images (default: 1000)")
    parser.add_argument("--out", metavar="FILE", help="also write the table: FILE.json (everything), .csv, .md or .tex")
    parser.add_argument("--events", action="store_true", help="accumulate the events of frames instead of multiplying")
    costs = parser.add_argument_group("costs")
    costs.add_argument(
        "--costs",
        default="45nm",
        metavar="NAME|FILE",
        help="45nm, 45nm-float16, 45nm-int8, or a YAML or JSON file (default: 45nm, the paper's)",
    )
    costs.add_argument("--ac-pj", type=float, metavar="X", help="pJ per accumulation (default: from the costs)")
    costs.add_argument("--mac-pj", type=float, metavar="X", help="pJ per multiply-accumulate")
    add_import_option(parser)
    add_config_options(parser, only=OPTIONS, default="the checkpoint's")


def run(arguments: argparse.Namespace) -> int:
    import_code(arguments.imports)
    from clif.energy import compare
    from clif.energy.checkpoint import estimate_checkpoint
    from clif.energy.compare import check_suffix, write_single
    from clif.errors import InputError
    from clif.train.checkpoint import read_checkpoint

    if twice := [path for path in arguments.checkpoint if arguments.checkpoint.count(path) > 1]:
        raise InputError(f"{twice[0]} is named twice; name each network once")
    if arguments.out:
        check_suffix(arguments.out)
    costs = _costs(arguments)
    for path in arguments.checkpoint[1:]:
        read_checkpoint(path)  # raises its errors before a measurement of the first
    measured: list[tuple[str, Energy]] = []
    written: list[str] = []
    for path in arguments.checkpoint:
        energy, opened, file = estimate_checkpoint(
            path, config_values(arguments), arguments.images, costs, events=arguments.events
        )
        measured.append((path, energy))
        written += [str(file)] if file is not None else []
        name, dataset = opened.net.config["name"], opened.config.dataset
        print(f"{dataset}, {name}, {energy.neuron}, T={energy.T}, {energy.images} test images", flush=True)
    single = len(measured) == 1
    distinct = len({energy.neuron for _, energy in measured}) == len(measured)
    comparison = compare([energy for _, energy in measured]) if distinct else compare(dict(measured))
    _print_layers(measured[0][1]) if single else _print_comparison(comparison)
    print(f"costs: {costs.name}, {costs.ac_pj:g} pJ an AC, {costs.mac_pj:g} pJ a MAC; {costs.source}")
    if arguments.out and single:
        write_single(arguments.out, measured[0][1])
    elif arguments.out:
        comparison.write(arguments.out)
    if written:
        print("written: " + ", ".join(written))
    return 0


def _costs(arguments: argparse.Namespace) -> "Costs":
    from clif.energy import find_costs

    costs = find_costs(arguments.costs)
    given: dict[str, Any] = {
        name: getattr(arguments, name) for name in ("ac_pj", "mac_pj") if getattr(arguments, name) is not None
    }
    return dataclasses.replace(costs, name=f"{costs.name}, changed", **given) if given else costs


def _print_layers(energy: "Energy") -> None:
    width = max(len(layer.name) for layer in energy.layers)
    print(
        f"{'layer':<{width}}  {'rate':>6}  {'spikes':>11}  {'ACs':>13}  {'MACs':>13}  {'updates':>11}  "
        f"{'kB moved':>11}  {'µJ':>9}  {'µJ with memory':>14}"
    )
    for layer in energy.layers:
        rate = "" if layer.rate is None else f"{layer.rate:.4f}"
        print(
            f"{layer.name:<{width}}  {rate:>6}  {layer.spikes:>11,.0f}  {layer.acs:>13,.0f}  {layer.macs:>13,.0f}  "
            f"{layer.updates:>11,}  {layer.moved_bytes / 1e3:>11,.0f}  {layer.operations / 1e6:>9.3f}  "
            f"{layer.memory / 1e6:>14.2f}"
        )
    print(
        f"operations: {energy.sops / 1e6:.2f} M SOPs, {energy.acs / 1e6:.2f} M ACs, {energy.macs / 1e6:.2f} M MACs, "
        f"{energy.updates / 1e6:.2f} M neuron updates, {energy.microjoule:.2f} µJ"
    )
    print(f"with memory: {energy.memory_millijoule:.3f} mJ; as published: {energy.published.total_mJ:.3f} mJ")


def _print_comparison(comparison: "Comparison") -> None:
    from clif.energy.compare import TOTAL, short

    rows = comparison.rows
    names = {key: max(len(key), *(len(str(row[key])) for row in rows)) for key in ("layer", "network")}
    numbers = ("SOPs", "ACs", "MACs", "updates")
    print(
        f"{'layer':<{names['layer']}}  {'network':<{names['network']}}  {'rate':>6}  "
        + "  ".join(f"{name:>13}" for name in numbers)
        + f"  {'kB moved':>11}  {'µJ':>9}  {'µJ with memory':>14}"
    )
    for row in rows:
        rate = "" if row["rate"] is None else f"{row['rate']:.4f}"
        counts = "  ".join(f"{row[name]:>13,.0f}" for name in numbers)
        print(
            f"{row['layer']:<{names['layer']}}  {row['network']:<{names['network']}}  {rate:>6}  {counts}  "
            f"{row['moved_bytes'] / 1e3:>11,.0f}  {row['operations_uJ']:>9.3f}  {row['memory_uJ']:>14.2f}"
        )
    for row in comparison.totals:
        print(
            f"{TOTAL} {row['network']}: T={row['T']}, {short(row['operations_uJ'])} µJ, with memory "
            f"{row['memory_uJ'] / 1e3:.3f} mJ, as published {row['published_mJ']:.3f} mJ"
        )
