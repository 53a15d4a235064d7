"""Measure how far back in time the gradient of CLIF and LIF goes, by time constant, before and after training.

    python examples/temporal_gradient.py --plot gradient.svg
    python examples/temporal_gradient.py --taus 1.5,2,4,8 -T 12 --epochs 20 --surrogate atan

A fully connected network sees each of scikit-learn's digits for T steps. "later" is the share of dL/du[t] that comes
from later steps t' > t, and "kept" is the part of a gradient that is left 1 and 4 steps earlier (see docs/analysis.md).
Both are means over the two layers of neurons, on the test digits.
"""

import argparse

import matplotlib
import torch
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from torch import Tensor, nn

import clif
from clif.loss import SpikingLoss

matplotlib.use("Agg")


def make_net(neuron: str, tau: float, T: int, surrogate: str) -> nn.Module:
    torch.manual_seed(0)  # the same weights for every neuron
    make = {"CLIF": clif.CLIFNode, "LIF": clif.LIFNode}[neuron]
    nodes = [make(tau=tau, surrogate_function=surrogate) for _ in range(2)]
    hidden = [nn.Linear(64, 128), nn.BatchNorm1d(128), nodes[0], nn.Linear(128, 128), nn.BatchNorm1d(128), nodes[1]]
    return clif.wrap(nn.Sequential(*hidden, nn.Linear(128, 10)), T=T)


def train(net: nn.Module, x: Tensor, y: Tensor, epochs: int) -> None:
    optimizer = torch.optim.Adam(net.parameters(), lr=5e-3)
    loss = SpikingLoss()  # the loss of the CLIF paper
    for _ in range(epochs):
        for batch in torch.randperm(len(y)).split(64):
            optimizer.zero_grad()
            loss(net(x[batch]), y[batch]).backward()
            optimizer.step()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--taus", default="2,4", help="membrane time constants in steps")
    parser.add_argument("-T", type=int, default=8, help="time steps")
    parser.add_argument("--epochs", type=int, default=5)
    parser.add_argument("--surrogate", default="rectangle")
    parser.add_argument("--plot", metavar="FILE", help="draw the shares of the trained networks by distance")
    arguments = parser.parse_args()

    digits = load_digits()
    images = (digits.data / 16).astype("float32")
    parts = train_test_split(images, digits.target, test_size=360, stratify=digits.target, random_state=0)
    x, x_test, y, y_test = map(torch.tensor, parts)
    test = [(x_test, y_test)]
    trained = {}
    for tau in map(float, arguments.taus.split(",")):
        for neuron in ("CLIF", "LIF"):
            net = make_net(neuron, tau, arguments.T, arguments.surrogate)
            for state in ("untrained", "trained"):
                if state == "trained":
                    train(net, x, y, arguments.epochs)
                    trained[f"{neuron}, τ = {tau:g}"] = net
                found = clif.analysis.temporal_gradient(net, test)
                later, kept = 1 - found.share[0], sum(layer.kept for layer in found.layers.values()) / 2
                words = f"later {later:5.1%}, kept after 1 step {kept[1]:.3f}, after 4 steps {kept[4]:.4f}"
                print(f"tau {tau:g} {neuron:4} {state:9}: {words}", flush=True)

    if arguments.plot:
        clif.analysis.temporal_gradients(trained, test).figure().savefig(arguments.plot)
        print(f"plot: {arguments.plot}")


if __name__ == "__main__":
    main()
