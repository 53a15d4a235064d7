"""Classify handwritten digits row by row: neurons and time constants on a task that needs memory, in your own loop.

    python examples/digits_by_row.py
    python examples/digits_by_row.py --neurons CLIF,LIF,PLIF --taus 2,4,8,16 --seeds 0,1,2,3,4 --epochs 40

A sample is a sequence of T = 8 steps, one row of 8 pixels per step, and only the last step's logits count: the states
of the neurons must keep the first rows. With `--window k` the gradient goes back only k steps.
"""

import argparse

import torch
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from torch import Tensor, nn

import clif


def rows_of_digits() -> tuple[Tensor, Tensor, list[int], list[int]]:
    """Sequences [T, samples, 8] with values from 0 to 1, their labels, and the indices for training and test."""
    digits = load_digits()
    x = torch.tensor(digits.images, dtype=torch.float32).transpose(0, 1) / 16
    train, test = train_test_split(range(x.shape[1]), test_size=0.2, stratify=digits.target, random_state=0)
    return x, torch.tensor(digits.target), train, test


def make_net(neuron: str, tau: float, width: int = 128) -> nn.Sequential:
    make = {"CLIF": clif.CLIFNode, "LIF": clif.LIFNode, "PLIF": clif.PLIFNode}[neuron]
    layers = []
    for size in (8, width):
        layers += [nn.Linear(size, width), clif.layers.BatchNorm1d(width), make(tau)]
    net = nn.Sequential(*layers, nn.Linear(width, 10), clif.layers.LeakyIntegrator(tau=4.0))
    clif.set_step_mode(net, "m")
    return net


def accuracy(neuron: str, tau: float, seed: int, epochs: int, window: int | None) -> float:
    """Train a network with that seed; returns its accuracy on the test digits after the last epoch."""
    x, y, train, test = rows_of_digits()
    torch.manual_seed(seed)
    net = make_net(neuron, tau)
    clif.neurons.set_gradient_window(net, window)
    optimizer = torch.optim.AdamW(net.parameters(), lr=5e-3, weight_decay=1e-2)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, epochs)
    for _ in range(epochs):
        for batch in torch.tensor(train)[torch.randperm(len(train))].split(64):
            clif.reset_net(net)  # every batch begins at rest
            loss = nn.functional.cross_entropy(net(x[:, batch])[-1], y[batch])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        schedule.step()
    net.eval()
    clif.reset_net(net)
    with torch.no_grad():
        return float((net(x[:, test])[-1].argmax(1) == y[test]).float().mean())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--neurons", default="CLIF,LIF", help="of CLIF, LIF and PLIF")
    parser.add_argument("--taus", default="2,8", help="time constants in steps, of PLIF those at the start")
    parser.add_argument("--seeds", default="0,1,2")
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--window", type=int, help="steps that the gradient goes back through a neuron (all of them)")
    arguments = parser.parse_args()
    seeds = [int(seed) for seed in arguments.seeds.split(",")]
    for neuron in arguments.neurons.split(","):
        for tau in map(float, arguments.taus.split(",")):
            found = [accuracy(neuron, tau, seed, arguments.epochs, arguments.window) for seed in seeds]
            each = ", ".join(f"{one:.1%}" for one in found)
            print(f"{neuron:5} tau {tau:4g}: {sum(found) / len(found):.1%} on test digits ({each})", flush=True)


if __name__ == "__main__":
    main()
