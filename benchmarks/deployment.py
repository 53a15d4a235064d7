"""The gap table of docs/deployment.md: CLIF checkpoints converted by every method, judged on their test sets.

    python benchmarks/deployment.py RUN... --data-dir FOLDER --out benchmarks/results/deployment.json

Everything is chosen on training images: the sweep's value by accuracy on 1,000 of them, among the paper's values and
further ones to −0.2. The fits use 512 images as they are (as `clif deploy` does), or augmented and in random order
("default loader": what `create_loader` gives without further options). Fine-tuning uses 12,800 images (or all, if there
are fewer), with labels unless the name of the method says otherwise. Its control, "CLIF trained on", is the CLIF
network after the same training. The agreement of the CLIF network with a copy whose weights are changed by about a
thousandth shows how much agreement is possible. For the networks named by `--int8`, the weights are also rounded to
int8.
"""

import argparse
import copy
import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch

from clif.data import create_loader
from clif.deploy import convert, finetune, quantize_weights
from clif.deploy.judge import judge
from clif.deploy.methods import LABELLED_LR
from clif.models import SpikingNetwork
from clif.trained_network import open_checkpoint

CONTROL = "CLIF trained on"
RESETS = (None, 0.0, -0.02, -0.04, -0.06, -0.08, -0.1, -0.12, -0.14, -0.16, -0.18, -0.2)
PAPER = RESETS[:7]


@torch.no_grad()
def shaken(net: SpikingNetwork, part: float = 1e-3) -> SpikingNetwork:
    """A copy of the network, each of its weights multiplied by 1 + `part` times a normal number."""
    other = copy.deepcopy(net)
    for weight in other.parameters():
        weight.mul_(1 + part * torch.randn_like(weight))
    return other


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("runs", nargs="+", help="checkpoints of CLIF networks")
    parser.add_argument("--lif", nargs="*", default=(), help="checkpoints of LIF networks to compare with, by data set")
    parser.add_argument("--only", nargs="*", default=(), help="names of the conversions to make (default: all)")
    parser.add_argument("--int8", nargs="*", default=(), help="names of the networks to round to int8, such as CLIF")
    parser.add_argument("--data-dir", default=".")
    parser.add_argument("--out", default="deployment.json")
    arguments = parser.parse_args()
    lif = {}
    for run in arguments.lif:
        opened = open_checkpoint(run, {"data_dir": arguments.data_dir})
        lif[opened.config.dataset] = opened.net.eval()
    results = []
    for run in arguments.runs:
        opened = open_checkpoint(run, {"data_dir": arguments.data_dir})
        net, config = opened.net.eval(), opened.config

        def loader(net=net, config=config, **options):
            return create_loader(config.dataset, config.data_dir, T=net.T, val_split=config.val_split, **options)

        torch.manual_seed(0)
        calm = {"train": True, "shuffle": False, "augment": False, "batch_size": 128}
        training = {"train": True, "batch_size": 64, "limit": 12_800}
        fits: dict[str, tuple[str, dict[str, Any], dict[str, Any]]] = {
            "sweep, the paper's values": ("sweep", {"limit": 1000, **calm}, {"v_resets": PAPER}),
            "sweep to -0.2": ("sweep", {"limit": 1000, **calm}, {"v_resets": RESETS}),
            "soft reset": ("sweep", {"limit": 128, **calm}, {"v_resets": (None,)}),
            "calibrate": ("calibrate", {"limit": 512, **calm}, {}),
            "subtract": ("subtract", {"limit": 512, **calm}, {}),
            "calibrate, default loader": ("calibrate", {"train": True, "batch_size": 128}, {}),
            "subtract, default loader": ("subtract", {"train": True, "batch_size": 128}, {}),
            "finetune": ("finetune", training, {}),
            "finetune, no labels": ("finetune", training, {"labels": 0.0}),
            "finetune from calibrate, no labels": ("finetune", training, {"start": "calibrate", "labels": 0.0}),
        }
        conversions = {
            name: convert(net, method, loader(**images), **options)
            for name, (method, images, options) in fits.items()
            if name in arguments.only or not arguments.only
        }
        networks = {
            "CLIF": net,
            "CLIF, weights changed": shaken(net),
            **{name: conversion.net for name, conversion in conversions.items()},
        }
        if CONTROL in arguments.only or not arguments.only:
            networks[CONTROL], _ = finetune(net, net, loader(**training), choice=(), lr=LABELLED_LR)
        networks |= {f"{name}, int8": quantize_weights(networks[name]) for name in arguments.int8}
        if config.dataset in lif:
            networks["LIF from scratch"] = lif[config.dataset]
        judged = judge(networks, create_loader(config.dataset, config.data_dir, T=net.T, train=False, batch_size=128))
        for row in judged:
            cost = conversions.get(row.name)
            results.append(
                {
                    "dataset": config.dataset,
                    "model": net.config["name"],
                    "seed": config.seed,
                    **asdict(row),
                    "v_reset": None if cost is None else cost.net.config.get("v_reset"),
                    "seconds": None if cost is None else cost.seconds,
                    "images": None if cost is None else cost.images,
                }
            )
            label = f"{config.dataset} seed {config.seed}: {row.name:<26}"
            print(f"{label} {row.top1:.2%}  agrees {row.agreement:.2%}", flush=True)
        Path(arguments.out).write_text(json.dumps(results, indent=1) + "\n")


if __name__ == "__main__":
    main()
