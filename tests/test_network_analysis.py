"""Networks analysed side by side: untrained ones begin with meaningful statistics."""

import torch

import clif
from clif import analysis
from clif.network_analysis import Settings, analyse, fresh, settle_norms, trained
from clif.train.checkpoint import save_checkpoint
from clif.train.losses import LOSSES


def test_untrained_networks_fire_in_all_layers():
    (subject,) = fresh(["LIF"], {"T": 4, "b": 16})
    loader = subject.loader(limit=32, train=True, augment=False)
    settle_norms(subject.net, loader)
    means = [m.running_mean.clone() for m in subject.net.modules() if isinstance(m, torch.nn.BatchNorm2d)]
    assert all(mean.abs().max() > 0 for mean in means)
    assert {m.momentum for m in subject.net.modules() if isinstance(m, torch.nn.BatchNorm2d)} == {0.1}
    assert min(analysis.firing_rates(subject.net, loader).values()) > 0.001


class Weighted(torch.nn.Module):
    """A loss with a parameter."""

    def __init__(self, _config):
        super().__init__()
        self.first = torch.nn.Parameter(torch.tensor(0.5))

    def forward(self, logits, labels):
        steps = torch.stack([self.first, 1 - self.first])
        return torch.nn.functional.cross_entropy((logits * steps[:, None, None]).sum(0), labels)


def test_the_gradient_is_that_of_the_trained_loss(tmp_path, monkeypatch):
    monkeypatch.setitem(LOSSES, "weighted_steps", Weighted)
    torch.manual_seed(3)
    net = clif.models.create_model("snn5_noAP", "LIF", T=2)
    config = {"dataset": "digits", "neuron": "LIF", "loss": "weighted_steps", "b": 8}
    content = {"net": net.state_dict(), "model": net.config, "config": config}
    content["loss_state"] = {"first": torch.tensor(1.0)}  # the second step has no weight
    save_checkpoint(tmp_path / "checkpoint_best.pth", content)
    found, _ = analyse("gradient", trained([tmp_path], {}), Settings(images=8))
    for layer in found["gradient"]["LIF"].layers.values():
        assert layer.terms[0, 0] > 0
        assert layer.terms[:, 1].sum() == 0
