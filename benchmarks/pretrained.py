"""Make the package's weights in src/clif/models/weights from a run.

    python benchmarks/pretrained.py RUN --name cifar10_fast --recipe cifar10_fast --weight-dtype float16 --data-dir data

It takes the weights after the last epoch. The conversion to LIF, NAME_lif, is fitted by `subtract` on the default
training loader and shares the file. The script writes the file, its model card and the entries of index.json; the card
gives the test accuracy of the stored weights and, if --weight-dtype rounds them, that of the weights before.
"""

import argparse
import hashlib
import json
from pathlib import Path
from typing import Any

import torch

import clif
from clif.data import create_loader
from clif.evaluation import evaluate
from clif.export import to_safetensors
from clif.files import write_content
from clif.models.pretrained import WEIGHTS, Pretrained, index_entry
from clif.names import pretrained_index
from clif.train.checkpoint import LAST
from clif.trained_network import open_checkpoint

DTYPES = {"float32": None, "float16": torch.float16, "bfloat16": torch.bfloat16, "int8": torch.int8}
LICENCES = {
    "cifar10": "Apache-2.0; trained on CIFAR-10 (Krizhevsky, 2009), which names no licence",
    "nmnist": "Apache-2.0; trained on N-MNIST (Orchard et al., 2015), CC BY-SA 4.0",
    "digits": "Apache-2.0; trained on the UCI digits (Alpaydin & Kaynak, 1998), CC BY 4.0",
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path, help="the run's folder")
    parser.add_argument("--name", required=True, help="what the weights are called")
    parser.add_argument("--recipe", required=True, help="how to train them again: a recipe, with its options")
    parser.add_argument("--weight-dtype", choices=DTYPES, default="float32", help="in which the weights are stored")
    parser.add_argument("--data-dir", default="data")
    given = parser.parse_args()
    opened = open_checkpoint(given.run / LAST, {"data_dir": given.data_dir})
    net, config = opened.net.eval(), opened.config
    test = create_loader(config.dataset, given.data_dir, train=False, T=net.T, batch_size=250)
    path = WEIGHTS / f"{given.name}.safetensors"
    to_safetensors(net, path, opened.content["config"], DTYPES[given.weight_dtype])
    shipped = clif.load(path)
    stored = evaluate(shipped, test).top1
    storage = given.weight_dtype
    if storage != "float32":
        storage += f" (test accuracy before the rounding: {evaluate(net, test).top1:.2%})"

    training = create_loader(config.dataset, given.data_dir, T=net.T)
    lif = clif.deploy.clif_to_lif(shipped, method="subtract", loader=training)
    environment = json.loads((given.run / "environment.json").read_text())[0]
    common: dict[str, Any] = {
        "model": net.config["name"],
        "dataset": config.dataset,
        "T": net.T,
        "recipe": given.recipe,
        "seed": config.seed,
        "commit": environment["git"]["clif"],
        "licence": LICENCES[config.dataset],
        "file": path.name,
        "sha256": hashlib.sha256(path.read_bytes()).hexdigest(),
    }
    entries = [
        Pretrained(
            name=given.name,
            description=f"{config.dataset}, {net.config['name']} with CLIF neurons",
            neuron="CLIF",
            test_top1=stored,
            **common,
        ),
        Pretrained(
            name=f"{given.name}_lif",
            description=f"{given.name} run as LIF, each layer with a soft reset of its own",
            neuron="LIF",
            test_top1=evaluate(lif, test).top1,
            layer_options=lif.config["layer_options"],
            **common,
        ),
    ]
    index = pretrained_index() | {one.name: index_entry(one) for one in entries}
    write_content(WEIGHTS / "index.json", (json.dumps(index, indent=1) + "\n"))
    text = card(entries, net, config, environment, storage, training.num_samples, test.num_samples)
    write_content(entries[0].card, text)
    print(*(f"{one.name}: {one.test_top1:.2%} of the test set" for one in entries), sep="\n")


def card(
    entries: list[Pretrained],
    net: Any,
    config: Any,
    environment: dict[str, Any],
    storage: str,
    samples: int,
    tested: int,
) -> str:
    """The model card, in Markdown."""
    source, lif = entries
    size = sum(parameter.numel() for parameter in net.parameters())
    channels, pixels, classes = (net.config[key] for key in ("in_channels", "image_size", "num_classes"))
    precision = environment["precision"]["computed_in"]
    table = f"""| | test accuracy |
|---|---|
| `pretrained:{source.name}`, CLIF | {source.test_top1:.2%} |
| `pretrained:{lif.name}`, the same weights as LIF, soft reset fitted to each layer | {lif.test_top1:.2%} |"""
    told = [
        f"Input: {channels} × {pixels} × {pixels}, normalised as the data set `{source.dataset}` of clif does; the "
        f'classes are those of `clif.data.get_dataset("{source.dataset}").classes`.',
        f"Trained from scratch on {samples:,} samples: `clif train {source.recipe} --seed {source.seed}`, "
        f"{config.epochs} epochs, commit {source.commit}, in {precision} on a processor with "
        f"{environment['machine']['cores']} cores. The weights are those after the last epoch. No choice was made on "
        f"the test set, {tested:,} samples.",
        f"Evaluated in float32 from the stored weights: `clif eval pretrained:{source.name} --data-dir DATA`.",
        "Meant for research, teaching and as a start for fine-tuning and deployment. It knows its "
        f"{classes} classes only and gives one of them to any input; it was not tested for fairness, "
        "robustness or safety.",
        f"File: `{source.file}`, SHA-256 {source.sha256}; its weights are stored in {storage}.",
        f"Licence: {source.licence}.",
    ]
    points = "\n".join(f"- {text}" for text in told)
    first = f"{source.model} with CLIF neurons (Huang et al., ICML 2024), T = {source.T}, {size / 1e6:.2f} M parameters"
    return f"# {source.name}\n\n{first}, for {source.dataset}.\n\n{table}\n\n{points}\n"


if __name__ == "__main__":
    main()
