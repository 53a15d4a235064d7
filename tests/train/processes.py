"""A run in several torchrun processes: every process writes its observations to FOLDER/RANK.json.

torchrun --nproc-per-node 2 processes.py FOLDER '{"dataset": "digits", ...}'
"""

import json
import sys
from pathlib import Path

import torch

from clif.train.config import resolve
from clif.train.loop import Trainer


class Recorder(Trainer):
    """A trainer that records each step's losses, weighted as in the mean over the whole batch, and sample keys."""

    def fit(self):
        self.losses, self.keys, self.sizes = [], [], []
        return super().fit()

    def _add_gradient(self, share, total):
        loss = super()._add_gradient(share, total)
        self.losses.append(loss.item() * len(share.labels) / total)
        self.keys.append(share.keys.tolist())
        self.sizes.append(len(share.labels))
        return loss


def main(folder: Path, options: dict) -> None:
    trainer = Recorder(resolve(**options), quiet=True)
    result = trainer.fit()
    net = {name: value.tolist() for name, value in trainer.net.state_dict().items() if value.numel() < 1000}
    seen = {"losses": trainer.losses, "keys": trainer.keys, "sizes": trainer.sizes, "net": net}
    history = [{k: v for k, v in row.items() if not k.endswith(("seconds", "second"))} for row in result.history]
    seen |= {"history": history, "run": str(result.folder), "files": sorted(p.name for p in result.folder.iterdir())}
    (folder / f"{trainer.engine.rank}.json").write_text(json.dumps(seen))


if __name__ == "__main__":
    torch.set_num_threads(1)
    main(Path(sys.argv[1]), json.loads(sys.argv[2]))
