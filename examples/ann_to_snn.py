"""Convert an ANN to a spiking network, train it for a few epochs, and compare accuracy and energy for several T.

    python examples/ann_to_snn.py
    python examples/ann_to_snn.py --steps 1,2,4,8 --epochs 10 --neuron LIF

An ANN with ReLU learns scikit-learn's digits. `clif.convert` replaces its activations with neurons, `clif.wrap`
shows each image for T steps, and `clif.train.fit` trains on with loaders that are DataLoaders of PyTorch. The energy is
a model of the operations of an inference (docs/energy.md), no measurement of power.
"""

import argparse
import tempfile

import torch
from sklearn.datasets import load_digits
from torch import nn
from torch.utils.data import DataLoader, TensorDataset, random_split

import clif
from clif.train import fit, resolve


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", default="1,2,4", help="numbers of time steps T")
    parser.add_argument("--epochs", type=int, default=4, help="epochs after the conversion; the ANN has 10")
    parser.add_argument("--neuron", default="CLIF")
    arguments = parser.parse_args()

    torch.manual_seed(0)
    digits = load_digits()
    data = TensorDataset(torch.tensor(digits.images, dtype=torch.float32)[:, None] / 16, torch.tensor(digits.target))
    train, val, test = random_split(data, [1237, 200, 360])
    loaders = {"train": DataLoader(train, 64, shuffle=True), "val": DataLoader(val, 200), "test": DataLoader(test, 360)}
    ann = nn.Sequential(
        *(nn.Conv2d(1, 16, 3, padding=1), nn.BatchNorm2d(16), nn.ReLU(), nn.AvgPool2d(2)),
        *(nn.Conv2d(16, 32, 3, padding=1), nn.BatchNorm2d(32), nn.ReLU(), nn.AvgPool2d(2)),
        *(nn.Flatten(), nn.Linear(128, 10)),
    )

    def learn(net: nn.Module, epochs: int, T: int) -> tuple[float, float]:
        """Train in place; returns the accuracies on test images after the first and the last epoch."""
        config = resolve(epochs=epochs, T_max=epochs, T=T, lr=0.05, loss="CE", amp=False)
        with tempfile.TemporaryDirectory() as folder:
            history = fit(config, quiet=True, folder=folder, net=net, loaders=loaders).history
        return history[0]["test_top1"], history[-1]["test_top1"]

    print(f"ANN: {learn(ann, 10, T=1)[1]:.1%} of {len(test)} test images")
    converted = clif.convert(ann, neuron=arguments.neuron)
    print(converted)
    for T in map(int, arguments.steps.split(",")):
        net = clif.wrap(clif.convert(ann, neuron=arguments.neuron).net, T=T, input_shape=(1, 8, 8))
        at_once = clif.evaluation.evaluate(net.eval(), loaders["test"]).top1
        first, last = learn(net, arguments.epochs, T)
        energy = clif.energy.estimate(net.eval(), loaders["test"])
        print(
            f"T = {T}: {at_once:.1%} as converted, {first:.1%} after one epoch, {last:.1%} after {arguments.epochs}; "
            f"{energy.firing_rate:.2f} spikes a neuron and step, {energy.microjoule:.2f} µJ"
        )


if __name__ == "__main__":
    main()
