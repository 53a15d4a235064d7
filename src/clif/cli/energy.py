"""The energy of an inference, from the firing rates that the network shows on test images.

A model of an idealised 45 nm chip, for comparing networks: 0.9 pJ an accumulation, 4.6 pJ a multiplication; and with
memory accesses after Lemaire et al. (2022). "as published" counts as the CLIF paper did, whose Table 7 it reproduces.
"""

import argparse
import json
from pathlib import Path

from clif.cli.common import Parser, add_config_options, add_import_option, config_values
from clif.user_code import import_code

OPTIONS = (
    *("dataset", "data_dir", "allow_incomplete", "sort_events", "test_split", "split_seed", "j"),
    *("model", "neuron", "T", "tau", "b", "device"),
)


def add_arguments(parser: Parser) -> None:
    parser.add_argument("checkpoint", help="a checkpoint, or a run folder (its best checkpoint)")
    parser.add_argument("--images", type=int, default=1000, metavar="N", help="test images (default: 1000)")
    parser.add_argument("--out", metavar="FILE", help="also write everything as JSON")
    add_import_option(parser)
    add_config_options(parser, only=OPTIONS, default="the checkpoint's")


def run(arguments: argparse.Namespace) -> int:
    import_code(arguments.imports)
    from clif.energy import estimate
    from clif.errors import InputError
    from clif.files import write_atomically
    from clif.trained_network import open_checkpoint

    if arguments.images < 1:
        raise InputError(f"--images must be at least 1, got {arguments.images}")
    opened = open_checkpoint(arguments.checkpoint, config_values(arguments))
    config = opened.config
    energy = estimate(opened.net, opened.loader(train=False, limit=arguments.images))
    print(f"{config.dataset}, {opened.net.config['name']}, {energy.neuron}, T={energy.T}, {energy.images} test images")
    width = max(len(layer.name) for layer in energy.layers)
    print(
        f"{'layer':<{width}}  {'rate':>6}  {'spikes':>11}  {'ACs':>13}  {'MACs':>13}  {'µJ':>9}  {'µJ with memory':>14}"
    )
    for layer in energy.layers:
        rate = f"{energy.firing_rates[layer.name]:.4f}" if layer.name in energy.firing_rates else ""
        print(
            f"{layer.name:<{width}}  {rate:>6}  {layer.spikes:>11,.0f}  {layer.acs:>13,.0f}  {layer.macs:>13,.0f}  "
            f"{layer.operations / 1e6:>9.3f}  {layer.memory / 1e6:>14.2f}"
        )
    print(f"operations: {energy.acs / 1e6:.2f} M ACs, {energy.macs / 1e6:.2f} M MACs, {energy.microjoule:.2f} µJ")
    published = f"; as published: {energy.published.total_mJ:.3f} mJ" if energy.published is not None else ""
    print(f"with memory: {energy.memory_millijoule:.3f} mJ{published}")
    if arguments.out:
        content = json.dumps(energy.as_dict(), indent=2).encode()
        try:
            write_atomically(Path(arguments.out), lambda file: file.write(content))
        except OSError as error:
            raise InputError(f"{arguments.out} cannot be written: {error}") from error
    return 0
