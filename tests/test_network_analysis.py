"""Networks analysed side by side: untrained ones begin with meaningful statistics."""

import torch

from clif import analysis
from clif.network_analysis import fresh, settle_norms


def test_untrained_networks_fire_in_all_layers():
    (subject,) = fresh(["LIF"], {"T": 4, "b": 16})
    loader = subject.loader(limit=32, train=True, augment=False)
    settle_norms(subject.net, loader)
    means = [m.running_mean.clone() for m in subject.net.modules() if isinstance(m, torch.nn.BatchNorm2d)]
    assert all(mean.abs().max() > 0 for mean in means)
    assert {m.momentum for m in subject.net.modules() if isinstance(m, torch.nn.BatchNorm2d)} == {0.1}
    assert min(analysis.firing_rates(subject.net, loader).values()) > 0.001
