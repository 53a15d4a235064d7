import pytest
import torch

from clif.analysis import count_spikes, firing_rates, spike_raster, spiking_layers, trace
from clif.errors import InputError
from clif.models import create_model
from clif.neurons import reset_net


@pytest.fixture
def net():
    return create_model("snn5_noAP", neuron="CLIF", T=4)


@pytest.fixture
def image():
    return torch.randn(3, 32, 32)


def test_layers_are_named_in_order(net):
    assert list(spiking_layers(net)) == [f"features.{i}.act" for i in range(5)]


def test_rates_are_the_mean_of_the_raster(net, image):
    rates = firing_rates(net, [(image[None], torch.zeros(1))])
    raster = spike_raster(net, image)
    assert {name: len(spikes) for name, spikes in raster.items()} == dict.fromkeys(rates, 4)
    assert raster["features.0.act"].shape == (4, 16 * 32 * 32)
    assert rates == pytest.approx({name: spikes.double().mean().item() for name, spikes in raster.items()}, rel=1e-6)
    assert rates["features.0.act"] > 0


def test_rates_weigh_batches_by_their_size(net):
    batches = [(torch.randn(n, 3, 32, 32), torch.zeros(n)) for n in (1, 3)]
    whole = [(torch.cat([images for images, _ in batches]), torch.zeros(4))]
    assert firing_rates(net, batches) == pytest.approx(firing_rates(net, whole), rel=1e-6)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
@pytest.mark.parametrize("shape", [(100_003,), (3, 70_001), (2, 5, 8, 33, 35)])
def test_every_spike_counts_in_every_dtype(shape, dtype):
    fired = torch.rand(shape) < 0.9
    count = count_spikes(fired.to(dtype))
    assert (count.dtype, count.item()) == (torch.float64, fired.sum().item())


def test_a_trace_follows_the_neuron_of_the_raster_and_its_state(net, image):
    raster = spike_raster(net, image)["features.1.act"]
    neuron = int(raster.sum(0).argmax())
    recorded = trace(net, image, "features.1.act", neuron)
    assert torch.equal(recorded.spikes, raster[:, neuron])
    net.eval()
    with torch.no_grad():
        net(image[None])
    layer = spiking_layers(net)["features.1.act"]
    torch.testing.assert_close(recorded.v[-1], layer.v.flatten()[neuron])
    torch.testing.assert_close(recorded.m[-1], layer.m.flatten()[neuron])


def test_a_trace_may_be_longer_than_the_training_and_has_no_m_for_lif(image):
    recorded = trace(create_model("snn5_noAP", neuron="LIF", T=2), image, "features.0.act", 0, steps=7)
    assert len(recorded.v) == 7
    assert recorded.m is None


def test_recording_leaves_mode_hooks_and_state_alone(net, image):
    reset_net(net)
    spike_raster(net, image)
    trace(net, image, "features.0.act", 3)
    assert net.training
    assert net.step_mode == "m"
    assert not any(module._forward_hooks for module in net.modules())


def test_an_unknown_layer_is_refused_with_the_nearest_name(net, image):
    with pytest.raises(InputError, match=r"features\.0\.act"):
        trace(net, image, "features.0.acts", 0)
