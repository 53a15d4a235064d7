"""A small network that fires, small data, and a checkpoint of the two."""

from pathlib import Path

import pytest
import torch

from clif.models import SpikingNetwork, create_model
from clif.train.checkpoint import save_checkpoint


@pytest.fixture
def firing_network():
    """Makes snn5_noAP networks whose last layer fires, so that neuron and reset change the logits."""

    def make(neuron: str = "CLIF", **options) -> SpikingNetwork:
        torch.manual_seed(3)
        net = create_model("snn5_noAP", neuron, **{"T": 3, **options})
        for module in net.modules():
            if isinstance(module, torch.nn.BatchNorm2d):
                torch.nn.init.uniform_(module.weight, 1, 2)
                torch.nn.init.uniform_(module.running_var, 0.3, 0.6)
        return net

    return make


@pytest.fixture
def checkpoint(firing_network, tiny_cifar10, tmp_path):
    """Writes checkpoints of firing networks, as the trainer does."""

    def write(neuron: str = "CLIF", **config) -> Path:
        net = firing_network(neuron)
        values = {"dataset": "cifar10", "data_dir": str(tiny_cifar10), "model": "snn5_noAP", "neuron": neuron, "T": 3}
        path = tmp_path / "run" / "checkpoint_best.pth"
        content = {"net": net.state_dict(), "model": net.config, "epoch": 0, "max_test_acc": 0.1}
        save_checkpoint(path, {**content, "config": {**values, "b": 8, **config}})
        return path

    return write
