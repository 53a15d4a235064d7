"""The accuracy of a stream after each step, on 2,000 test images, each shown for 2·T steps.

    python benchmarks/streams.py CHECKPOINT... --data-dir FOLDER --out benchmarks/results/streams.json

Each CLIF checkpoint and its conversion by `subtract`, fitted on the default training loader, runs as a
`StreamPredictor`. After T steps its predictions are compared with those of the network for the whole sequence.
"""

import argparse
import json
from pathlib import Path
from typing import Any

import torch

from clif.data import Loader, create_loader
from clif.deploy import StreamPredictor, convert
from clif.files import write_content
from clif.models import SpikingNetwork
from clif.trained_network import open_checkpoint

IMAGES, BATCH = 2000, 100


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("checkpoints", nargs="+", help="checkpoints of CLIF networks")
    parser.add_argument("--data-dir", default=".")
    parser.add_argument("--out", type=Path, default=Path("streams.json"))
    given = parser.parse_args()
    results = []
    for checkpoint in given.checkpoints:
        opened = open_checkpoint(checkpoint, {"data_dir": given.data_dir})
        net, config = opened.net.eval(), opened.config
        training = create_loader(config.dataset, config.data_dir, T=net.T, train=True, batch_size=128)
        test = create_loader(
            config.dataset, config.data_dir, T=net.T, train=False, batch_size=BATCH, limit=IMAGES, shuffle=False
        )
        for name, network in {"CLIF": net, "subtract": convert(net, "subtract", training).net}.items():
            row = {"dataset": config.dataset, "seed": config.seed, "network": name, **follow(network.eval(), test)}
            results.append(row)
            steps = ", ".join(f"{accuracy:.2%}" for accuracy in row["accuracies"])
            print(f"seed {config.seed}, {name}: {steps}; {row['differing']} differ after {net.T} steps", flush=True)
            write_content(given.out, json.dumps(results, indent=1) + "\n")


@torch.no_grad()
def follow(net: SpikingNetwork, test: Loader) -> dict[str, Any]:
    """The accuracy after each step, and the number of predictions after T steps that differ from the network's."""
    correct, differing, images = [0] * (2 * net.T), 0, 0
    for x, labels in test:
        stream = StreamPredictor(net)
        for step in range(len(correct)):
            stream(x)
            correct[step] += int((stream.prediction == labels).sum())
            if stream.steps == net.T:
                differing += int((stream.prediction != net(x).mean(0).argmax(-1)).sum())
        images += len(x)
    return {"T": net.T, "images": images, "accuracies": [count / images for count in correct], "differing": differing}


if __name__ == "__main__":
    main()
