"""The user's code for -import: files in a test's folder, and the network `my_net` in one of them."""

import importlib
import sys
from pathlib import Path

import pytest

from clif import user_code
from clif.names import REGISTRIES

NETWORK = """
import torch
import clif


class Small(clif.models.SpikingNetwork):
    def __init__(self, neuron, num_classes, in_channels, T, image_size):
        super().__init__(T, in_channels, image_size, any_size=False)
        hidden = torch.nn.Linear(in_channels * image_size**2, 32)
        self.layers = torch.nn.Sequential(clif.layers.Flatten(), hidden, neuron(), torch.nn.Linear(32, num_classes))

    def logits(self, x):
        return self.layers(x)


@clif.models.register_model
def my_net(neuron, num_classes, in_channels, T, drop_rate, image_size):
    return Small(neuron, num_classes, in_channels, T, image_size)
"""

TRAIN_MY_NET = "-model my_net -neuron LIF -dataset digits -T 1 -amp False --quiet"
"""The options of `clif train` for that network."""


class OwnCode:
    """Files of code in the current folder; `new_process` unloads what was imported from them."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.folder = folder
        self._patch = monkeypatch
        monkeypatch.chdir(folder)
        monkeypatch.setattr(sys, "path", sys.path)
        registries = [getattr(importlib.import_module(module), name) for module, name in REGISTRIES.values()]
        self._registries = [(registry, dict(registry)) for registry in registries]
        self.new_process()

    def write(self, name: str, text: str) -> Path:
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        return path

    def new_process(self) -> None:
        for name, module in list(sys.modules.items()):
            if str(getattr(module, "__file__", None) or "").startswith(str(self.folder)):
                del sys.modules[name]
        self._patch.setattr(sys, "path", [entry for entry in sys.path if not entry.startswith(str(self.folder))])
        self._patch.setattr(user_code, "_imported", {})
        for registry, content in self._registries:
            registry.clear()
            registry.update(content)
