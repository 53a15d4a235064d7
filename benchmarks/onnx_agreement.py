"""How many predictions differ between a network and its ONNX graph in ONNX Runtime, on 1,000 test images.

    python benchmarks/onnx_agreement.py RUN... --data-dir FOLDER --out benchmarks/results/onnx_agreement.json

Three networks of each CLIF checkpoint are compared: itself, and its conversions by `calibrate` and `subtract`; each
with and without exact sums. The network in float64 tells which of the two float32 computations rounded a potential at
the threshold to the other side.
"""

import argparse
import copy
import json
import tempfile
from pathlib import Path

import onnxruntime
import torch
from torch import Tensor

from clif.data import create_loader
from clif.deploy import convert, exact_sums
from clif.export import to_onnx
from clif.models import SpikingNetwork
from clif.trained_network import open_checkpoint

IMAGES = 1000


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("runs", nargs="+", help="checkpoints of CLIF networks")
    parser.add_argument("--data-dir", default=".")
    parser.add_argument("--out", default="onnx_agreement.json")
    arguments = parser.parse_args()
    results = []
    for run in arguments.runs:
        opened = open_checkpoint(run, {"data_dir": arguments.data_dir})
        net, config = opened.net.eval(), opened.config
        data = {"name": config.dataset, "root": config.data_dir, "T": net.T}
        training = create_loader(**data, train=True, shuffle=False, augment=False, batch_size=128, limit=512)
        networks = {"CLIF": net, **{method: convert(net, method, training).net for method in ("calibrate", "subtract")}}
        test = list(create_loader(**data, train=False, batch_size=50, limit=IMAGES))
        images, labels = [x for x, _ in test], torch.cat([y for _, y in test])
        for name, network in networks.items():
            for exact in (False, True):
                compared = exact_sums(network) if exact else network.eval()
                row = {"dataset": config.dataset, "seed": config.seed, "network": name, "exact sums": exact}
                results.append({**row, **differing(compared, network, images, labels)})
                print(results[-1], flush=True)
                Path(arguments.out).write_text(json.dumps(results, indent=1) + "\n")


@torch.no_grad()
def differing(net: SpikingNetwork, original: SpikingNetwork, images: list[Tensor], labels: Tensor) -> dict[str, int]:
    """The number of images, and of those on which two computations of `net` predict different classes.

    "the network": how many predictions differ from those of `original`, the network before its sums were made exact.
    """
    with tempfile.TemporaryDirectory() as folder:
        content = to_onnx(net, Path(folder) / "net.onnx").read_bytes()
    session = onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])
    exact = copy.deepcopy(net).double()
    before = torch.cat([classes(original(x)) for x in images])
    torch32 = torch.cat([classes(net(x)) for x in images])
    torch64 = torch.cat([classes(exact(x.double())) for x in images])
    onnx32 = torch.cat([classes(torch.from_numpy(session.run(None, {"x": x.contiguous().numpy()})[0])) for x in images])
    return {
        "images": len(torch32),
        "ONNX Runtime and PyTorch": int((onnx32 != torch32).sum()),
        "ONNX Runtime and float64": int((onnx32 != torch64).sum()),
        "PyTorch and float64": int((torch32 != torch64).sum()),
        "PyTorch and the network": int((torch32 != before).sum()),
        "correct": int((torch32 == labels).sum()),
    }


def classes(logits: Tensor) -> Tensor:
    return logits.mean(0).argmax(-1)


if __name__ == "__main__":
    main()
