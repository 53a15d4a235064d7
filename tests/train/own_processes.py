"""Runs with the user's own objects in two torchrun processes; FOLDER/RANK.json has the observations of each.

torchrun --nproc-per-node 2 own_processes.py FOLDER
"""

import json
import os
import sys
from pathlib import Path

import torch
from torch import nn
from torch.utils.data import (
    BatchSampler,
    DataLoader,
    Dataset,
    DistributedSampler,
    IterableDataset,
    RandomSampler,
    Subset,
    TensorDataset,
)

import clif
from clif.data import create_loader
from clif.errors import InputError
from clif.train import fit, resolve

SAMPLES = 21
RANK = int(os.environ.get("RANK", "0"))
OPTIONS = {"dtype": "float64", "epochs": 2, "loss": "CE", "opt": "Adam", "lr": 0.05, "amp": False, "accumulate": 2}


class Images(Dataset):
    """Images of random numbers; `seen` lists those that were read."""

    def __init__(self):
        generator = torch.Generator().manual_seed(0)
        self.y = torch.arange(SAMPLES) % 3
        self.x = torch.rand(SAMPLES, 1, 4, 4, generator=generator) + self.y[:, None, None, None]
        self.seen = []

    def __len__(self):
        return SAMPLES

    def __getitem__(self, index):
        self.seen.append(int(index))
        return self.x[index], self.y[index]


class Net(nn.Module):
    def __init__(self, dropout):
        super().__init__()
        convolution, norm = clif.layers.Conv2d(1, 8, 3), clif.layers.BatchNorm2d(8)
        ends = [clif.layers.Flatten(), nn.Dropout(dropout), clif.layers.Linear(32, 3)]
        self.layers = nn.Sequential(convolution, norm, clif.CLIFNode(), *ends)
        clif.set_step_mode(self, "m")

    def forward(self, x):
        return self.layers(x.expand(3, *x.shape))


def net(dropout=0.0):
    torch.manual_seed(RANK)
    return Net(dropout)


def plain(data=None, **options):
    return DataLoader(Images() if data is None else data, 4, shuffle=True, **options)


def weights(module):
    return {name: value.double().tolist() for name, value in module.state_dict().items()}


def figures(result):
    return [{k: v for k, v in row.items() if not k.endswith(("seconds", "second"))} for row in result.history]


def equal(folder):
    """A run with divided batches, the last of which is empty in the second process."""
    module, train, val = net(), Images(), Images()
    loaders = {"train": plain(train), "val": DataLoader(val, 8, generator=torch.Generator())}
    result = fit(resolve(**OPTIONS, sync_bn=True), True, folder=folder, net=module, loaders=loaders)
    return {"net": weights(module), "history": figures(result), "seen": train.seen, "evaluated": val.seen}


class Unused(Net):
    """A network with a parameter that does not contribute to the loss."""

    def __init__(self):
        super().__init__(0.0)
        self.unused = nn.Parameter(torch.ones(3))


def unused(folder):
    """The weights after training a network with an unused parameter, and that parameter."""
    torch.manual_seed(0)
    module = Unused()
    fit(resolve(**OPTIONS, sync_bn=True), True, folder=folder, net=module, loaders={"train": DataLoader(Images(), 4)})
    return {"net": weights(module), "unused": module.unused.tolist()}


def lost(folder):
    """The message if a label of the second process's part is out of range."""
    data = Images()
    data.y[3] = 7
    try:
        fit(resolve(**OPTIONS), True, folder=folder, net=net(), loaders={"train": DataLoader(data, 4)})
    except (InputError, SystemExit) as error:
        return str(error)


def resumed(folder):
    """The weights of a run and of one that stopped after two epochs, with dropout and workers."""
    runs = {}
    for name, first in (("whole", 3), ("stopped", 2)):
        for epochs in {first, 3}:
            module = net(0.5)
            options = {**OPTIONS, "epochs": epochs, "resume": "auto", "T_max": 3}
            fit(resolve(**options), True, folder=folder / name, net=module, loaders={"train": plain(num_workers=1)})
        runs[name] = weights(module)
    return runs


def batched(folder):
    """The samples that are read with a batch sampler."""
    train = Images()
    loader = DataLoader(train, batch_sampler=BatchSampler(RandomSampler(train), 4, drop_last=True))
    fit(resolve(**OPTIONS), True, folder=folder, net=net(), loaders={"train": loader})
    return {"seen": train.seen}


def split(folder):
    """The samples that are read if a DistributedSampler or a loader of clif divides the data."""
    train = Images()
    loader = DataLoader(train, 3, sampler=DistributedSampler(train, 2, RANK, drop_last=True, seed=4))
    fit(resolve(**OPTIONS), True, folder=folder / "sampler", net=net(), loaders={"train": loader})
    digits = create_loader("digits", batch_size=512)
    module = nn.Sequential(nn.Flatten(), nn.Linear(3 * 32 * 32, 10))
    result = fit(
        resolve(epochs=1, loss="CE", lr=0.01),
        True,
        folder=folder / "clif",
        net=module,
        loaders={"train": digits, "test": create_loader("digits", train=False)},
    )
    return {"seen": train.seen, "history": figures(result), "world_size": digits.world_size}


class Stream(IterableDataset):
    def __iter__(self):
        return iter([(torch.rand(1, 4, 4), torch.tensor(0))] * 8)


class Strange(DataLoader):
    def __iter__(self):
        return super().__iter__()


class OwnBatches(BatchSampler):
    pass


def refused(folder):
    """The message for loaders that may repeat a sample in another process."""
    data = Images()
    uneven = DistributedSampler(data, 2, RANK, shuffle=False)
    loaders = {
        "list": [(data.x, data.y)],
        "stream": DataLoader(Stream(), 2),
        "strange": Strange(data, 2),
        "unbatched": DataLoader(data, batch_size=None),
        "batches": DataLoader(data, batch_sampler=OwnBatches(range(SAMPLES), 2, False)),
        "sampler": DataLoader(data, 2, sampler=list(range(SAMPLES))),
        "rank": DataLoader(data, 2, sampler=DistributedSampler(data, 2, 0)),
        "hand": DataLoader(Subset(data, range(RANK, 20, 2)), 2),
        "random": DataLoader(TensorDataset(torch.rand(8, 1, 4, 4) + RANK, torch.zeros(8).long()), 2),
        "clif": create_loader("digits", rank=0, world_size=2),
        "twice": DataLoader(data, 2, collate_fn=lambda _batch: (torch.rand(4, 1, 4, 4), torch.zeros(4).long())),
        "net": plain(),
        "val": plain(),
    }
    messages = {}
    for name, loader in loaders.items():
        parts = {"train": loader, **({"val": DataLoader(data, 2, sampler=uneven)} if name == "val" else {})}
        module = nn.Linear(16, 3 + RANK) if name == "net" else net()
        try:
            fit(resolve(**OPTIONS), True, folder=folder / name, net=module, loaders=parts)
        except (InputError, SystemExit) as error:
            messages[name] = str(error)
    return messages


PARTS = (equal, batched, unused, resumed, split, refused, lost)  # the last one ends the processes' connection


def main(folder: Path) -> None:
    seen = {part.__name__: part(folder / part.__name__) for part in PARTS}
    (folder / f"{RANK}.json").write_text(json.dumps(seen))


if __name__ == "__main__":
    torch.set_num_threads(1)
    main(Path(sys.argv[1]))
