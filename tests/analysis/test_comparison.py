import pytest
import torch

import clif
from clif import analysis
from clif.errors import InputError
from clif.models import create_model


def two(image_size=16, **options):
    nets = []
    for seed, neuron in enumerate(("CLIF", "LIF")):
        torch.manual_seed(seed)
        nets.append(create_model("snn5_noAP", neuron=neuron, T=4, image_size=image_size, **options))
        for module in nets[-1].modules():
            if isinstance(module, torch.nn.BatchNorm2d):
                torch.nn.init.constant_(module.bias, 0.5)
    return nets


def images(n=8):
    return torch.randn(n, 3, 16, 16)


def spikes_of(net, x):
    found = {}
    hooks = [
        node.register_forward_hook(lambda _m, _i, spikes, name=name: found.update({name: spikes}))
        for name, node in analysis.spiking_layers(net).items()
    ]
    with torch.no_grad():
        net.eval()(x)
    for hook in hooks:
        hook.remove()
    return found


def unbiased_hsic(K, L):
    """HSIC₁ of Song et al. (2012), in the form of Nguyen et al. (2021)."""
    n = len(K)
    K, L = K - K.diag().diag(), L - L.diag().diag()
    one = torch.ones(n, 1, dtype=K.dtype)
    whole = (one.T @ K @ one) * (one.T @ L @ one) / ((n - 1) * (n - 2))
    return ((K @ L).trace() + whole - 2 / (n - 2) * one.T @ K @ L @ one).item() / (n * (n - 3))


def test_cka_is_that_of_its_definition():
    a, b = two()
    batches = [images(8), images(8), images(5)]
    found = analysis.similarity(a, b, [(x, None) for x in batches])
    for of_counts, matrix in ((False, found.cka), (True, found.cka_of_counts)):
        sums = torch.zeros(3)
        for x in batches:
            grams = []
            for net, layer in ((a, "features.1.act"), (b, "features.3.act")):
                spikes = spikes_of(net, x)[layer].double()
                features = spikes.sum(0).flatten(1) if of_counts else spikes.transpose(0, 1).flatten(1)
                grams.append(features @ features.T)
            K, L = grams
            sums += len(x) * torch.tensor([unbiased_hsic(K, L), unbiased_hsic(K, K), unbiased_hsic(L, L)])
        assert matrix[1, 3].item() == pytest.approx((sums[0] / (sums[1] * sums[2]).sqrt()).item(), rel=1e-5)


def test_agreement_is_that_of_the_spikes():
    a, b = two()
    x = images()
    found = analysis.similarity(a, b, [x])
    ours, theirs = spikes_of(a, x), spikes_of(b, x)
    for (name, other), agreement, overlap in zip(found.pairs, found.agreement, found.overlap, strict=True):
        one, two_ = ours[name].bool(), theirs[other].bool()
        assert agreement == pytest.approx((one == two_).double().mean().item())
        assert overlap == pytest.approx(((one & two_).sum() / (one | two_).sum()).item())


def test_a_network_is_like_itself(seen):
    x = torch.cat([seen.x] * 2, 1 if seen.x.dim() == 3 else 0)
    x = x + torch.randn_like(x)
    found = analysis.similarity(seen.net, seen.net, [x], forward=seen.forward)
    assert found.agreement == [1.0] * len(found.pairs)
    torch.testing.assert_close(found.cka.diagonal(), torch.ones(len(found.pairs), dtype=torch.float64))


def test_layers_of_other_networks_are_compared_by_cka():
    a = torch.nn.Sequential(torch.nn.Linear(8, 6), clif.CLIFNode(step_mode="m"))
    b = torch.nn.Sequential(
        torch.nn.Linear(8, 30), clif.IFNode(step_mode="m"), torch.nn.Linear(30, 6), clif.LIFNode(step_mode="m")
    )
    x = torch.rand(6, 16, 8) * 4
    found = analysis.similarity(a, b, [x])
    assert found.cka.shape == (1, 2)
    assert found.pairs == [("1", "1")]
    assert torch.tensor(found.agreement).isnan().all()
    assert found.to_dict()["overlap"] == [None]
    (pair,) = analysis.similarity(a, b, [x], pairs={"1": "3"}).table()
    assert (pair["layer"], pair["other"]) == ("1", "3")
    assert 0 < pair["agreement"] < 1
    assert pair["cka"] == found.cka[0, 1].item()
    with pytest.raises(InputError, match="unknown spiking layer"):
        analysis.similarity(a, b, [x], pairs={"1": "2"})


def test_small_batches_count_for_the_agreement_only():
    a, b = two()
    x, few = images(), images(3)
    with_few, without = analysis.similarity(a, b, [x, few]), analysis.similarity(a, b, [x])
    assert torch.equal(with_few.cka, without.cka)
    assert with_few.agreement != without.agreement
    with pytest.raises(InputError, match="batch of at least 4 samples"):
        analysis.similarity(a, b, [few])
    with pytest.raises(InputError, match="the loader is empty"):
        analysis.similarity(a, b, [])


def test_the_estimate_has_no_bias_of_the_batch_size():
    """For independent spikes the biased CKA would be near 1 in small batches."""
    a, b = (torch.nn.Sequential(clif.IFNode(step_mode="m")) for _ in range(2))

    class Noise(torch.nn.Module):
        def __init__(self, net):
            super().__init__()
            self.net = net

        def forward(self, x):
            return self.net((torch.rand(4, len(x), 50) < 0.3).float())

    found = analysis.similarity(Noise(a), Noise(b), [torch.zeros(8, 1)] * 60)
    assert abs(found.cka.item()) < 0.2


def test_a_layer_that_fires_the_same_in_all_samples_has_no_cka():
    net = torch.nn.Sequential(clif.LIFNode(step_mode="m"), torch.nn.Linear(5, 5), clif.LIFNode(step_mode="m"))
    torch.nn.init.zeros_(net[1].weight)
    torch.nn.init.constant_(net[1].bias, 0.7)
    for N in (5, 7, 12, 13):
        found = analysis.similarity(net, net, [torch.rand(6, N, 5) * 2] * 3)
        for cka in (found.cka, found.cka_of_counts):
            assert cka[0, 0].item() == pytest.approx(1)
            assert cka.flatten()[1:].isnan().all()


def test_plot(draws):
    a, b = two()
    found = analysis.similarity(a, b, [images()])
    axes = draws(found.plot)
    assert [label.get_text() for label in axes.get_yticklabels()] == found.names_a
