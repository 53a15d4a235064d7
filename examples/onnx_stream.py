"""Stop as soon as a network is sure: a LIF network in ONNX Runtime, one time step per call, with states as inputs.

    python examples/onnx_stream.py
    python examples/onnx_stream.py -T 12 --confidence 0.5,0.8,0.9,0.95,0.99 --out network.onnx

A CLIF network learns scikit-learn's digits and becomes LIF with a fitted soft reset. Its ONNX file is one step: the
image and the potentials go in, the logits and the next potentials come out. The table says how many steps an image
takes if the network ends as soon as the probability of a class reaches a confidence. It needs
`pip install "clif-snn[onnx]"`.
"""

import argparse
import tempfile

import onnxruntime
import torch
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset

import clif
from clif.train import fit, resolve


def train(data: TensorDataset, T: int, epochs: int) -> nn.Module:
    """A CLIF network with logits of every step, [T, N, 10]."""
    torch.manual_seed(0)
    layers = nn.Sequential(nn.Linear(64, 128), nn.BatchNorm1d(128), clif.CLIFNode(), nn.Linear(128, 10))
    net = clif.wrap(layers, T=T, input_shape=(64,))
    config = resolve(epochs=epochs, T_max=epochs, lr=0.1, amp=False)
    with tempfile.TemporaryDirectory() as folder:
        fit(config, True, folder=folder, net=net, loaders={"train": DataLoader(data, 64, shuffle=True)})
    return net.eval()


def steps_in_onnx(path: str, net: nn.Module, x: Tensor, T: int) -> Tensor:
    """The logits of T steps [T, N, 10], computed by ONNX Runtime."""
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    state = {name: value.numpy() for name, value in clif.export.initial_state(net, len(x)).items()}
    found = []
    for _ in range(T):
        logits, *after = session.run(None, {"x": x.numpy(), **state})
        state = dict(zip(state, after, strict=True))
        found.append(torch.from_numpy(logits))
    return torch.stack(found)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("-T", type=int, default=8, help="most time steps of an image")
    parser.add_argument("--epochs", type=int, default=5)
    parser.add_argument("--confidence", default="0.5,0.8,0.95", help="probabilities at which to end")
    parser.add_argument("--out", default="network.onnx", help="where the ONNX file is written")
    arguments = parser.parse_args()

    digits = load_digits()
    images = (digits.data / 16).astype("float32")
    parts = train_test_split(images, digits.target, test_size=360, stratify=digits.target, random_state=0)
    x, x_test, y, y_test = map(torch.tensor, parts)
    learnt = TensorDataset(x, y)
    net = train(learnt, arguments.T, arguments.epochs)
    lif = clif.deploy.exact_sums(clif.deploy.clif_to_lif(net, method="subtract", loader=DataLoader(learnt, 256)))
    clif.export.to_onnx(lif, arguments.out, form="step")
    logits = steps_in_onnx(arguments.out, lif, x_test, arguments.T)
    difference = (logits - lif(x_test).detach()).abs().max()
    print(f"{arguments.out}: logits differ from PyTorch's by {difference:.1e} at most")

    means = logits.cumsum(0) / torch.arange(1, arguments.T + 1)[:, None, None]  # the running mean after each step
    sure, predicted = means.softmax(-1).max(-1)
    print(f"all {arguments.T} steps: {(predicted[-1] == y_test).float().mean():.1%} of {len(y_test)} test images")
    for confidence in map(float, arguments.confidence.split(",")):
        ends = (sure >= confidence).float().argmax(0).where((sure >= confidence).any(0), torch.tensor(arguments.T - 1))
        right = predicted.gather(0, ends[None])[0] == y_test
        print(f"confidence {confidence:.0%}: {right.float().mean():.1%} after {ends.float().mean() + 1:.2f} steps")


if __name__ == "__main__":
    main()
