"""The user's own neuron, network, data set and loss, trained by processes that torchrun or SLURM started."""

import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from torch.testing import assert_close

from clif.cli import main
from clif.train.checkpoint import read_checkpoint

CODE = """
import os
import clif
import numpy as np
import torch
from torch.nn import functional as F

rank = os.environ.get("RANK", os.environ.get("SLURM_PROCID", "alone"))
with open("imported-by-" + rank, "a") as file:
    file.write("once ")


@clif.register_neuron("Slope")
class SlopeNode(clif.SpikingNeuron):
    states = {"v": 0.0}
    learnable = {"k": "layer"}

    def __init__(self, tau=2.0, **options):
        super().__init__(**options)
        self.tau = tau
        self.k = torch.nn.Parameter(torch.tensor(1.0))

    def step(self, x, v, k):
        u = torch.relu(k * (v * (1 - 1 / self.tau) + x))
        spike = self.fire(u)
        return spike, self.reset_after(u, spike)


class Small(clif.models.SpikingNetwork):
    def __init__(self, neuron, num_classes, in_channels, T, image_size):
        super().__init__(T, in_channels, image_size, any_size=False)
        first, last = clif.layers.Conv2d(in_channels, 4, 3), torch.nn.Linear(144, num_classes)
        self.layers = torch.nn.Sequential(
            first, clif.layers.BatchNorm2d(4), neuron(), clif.layers.Flatten(), clif.layers.Dropout(0.5, "m"), last
        )

    def logits(self, x):
        return self.layers(x)


@clif.models.register_model
def my_net(neuron, num_classes, in_channels, T, drop_rate, image_size):
    return Small(neuron, num_classes, in_channels, T, image_size)


@clif.data.register_dataset
def squares():
    def read(root, train):
        labels = np.arange(45 if train else 31) % 3
        images = np.random.default_rng(int(train)).integers(0, 80, (len(labels), 1, 8, 8))
        return clif.data.Arrays((images + 60 * labels[:, None, None, None]).astype(np.uint8), labels)

    return clif.data.Dataset("squares", ("a", "b", "c"), 1, 8, needs_root=False, read=read)


@clif.train.register_loss
def last_step(config):
    return lambda logits, labels: F.cross_entropy(logits[-1], labels)
"""
LINE = (
    "train -import my_code.py -model my_net -neuron Slope -dataset squares -loss last_step -T 2 -b 11 -epochs 2 "
    "-lr 0.05 -dtype float64 -sync_bn -val_split 0.2 -device cpu -quiet"
)
COMMAND = [sys.executable, "-m", "clif", *LINE.split(), "-out_dir"]


def free_port():
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return str(one.getsockname()[1])


def torchrun():
    launch = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2"]
    return [subprocess.Popen([*launch, *COMMAND[1:], "two"], env={**os.environ, "OMP_NUM_THREADS": "1"})]


def srun():
    """Two tasks of a job, as srun starts them on one machine."""
    job = {"SLURM_JOB_ID": "4711", "SLURM_NTASKS": "2", "SLURM_NODELIST": "127.0.0.1", "SLURM_NNODES": "1"}
    job |= {"SLURM_STEP_NUM_TASKS": "2", "SLURM_STEP_NUM_NODES": "1", "MASTER_PORT": free_port()}
    job |= {"OMP_NUM_THREADS": "1", "SLURM_NODEID": "0"}
    tasks = [{"SLURM_PROCID": rank, "SLURM_LOCALID": rank} for rank in ("0", "1")]
    return [subprocess.Popen([*COMMAND, "two"], env={**os.environ, **job, **task}) for task in tasks]


def run_of(folder):
    (run,) = Path(folder).iterdir()
    return run


@pytest.mark.slow
@pytest.mark.multiprocess
@pytest.mark.parametrize("start", [torchrun, srun])
def test_two_launched_processes_train_own_code_as_one_does(own_code, capfd, start):
    pytest.importorskip("lightning_fabric")
    own_code.write("my_code.py", CODE)
    assert main([*LINE.split(), "-out_dir", "one"]) == 0
    assert capfd.readouterr().out.count("run folder: ") == 1
    for process in start():
        assert process.wait(timeout=300) == 0
    assert capfd.readouterr().out.count("run folder: ") == 1
    assert {path.name: path.read_text() for path in Path().glob("imported-by-*")} == {
        "imported-by-alone": "once ",
        "imported-by-0": "once ",
        "imported-by-1": "once ",
    }
    one, two = (read_checkpoint(run_of(folder)) for folder in ("one", "two"))
    (started,) = json.loads((run_of("two") / "environment.json").read_text())
    assert [record["module"] for record in started["imports"]] == ["my_code"]
    assert two["imports"] == one["imports"] == started["imports"]
    assert_close(two["net"], one["net"], rtol=0, atol=1e-8)
    for row, expected in zip(two["history"], one["history"], strict=True):
        figures = {key for key in expected if not key.endswith(("seconds", "second"))}
        assert {key: row[key] for key in figures} == pytest.approx({key: expected[key] for key in figures}, abs=1e-9)
