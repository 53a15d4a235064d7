import pytest
import torch

import clif
from clif import analysis
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


@pytest.fixture
def frames():
    return torch.rand(5, 2, 32, 32)


@pytest.fixture
def event_net():
    net = create_model("snn5_noAP", in_channels=2, T=3)
    for module in net.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            torch.nn.init.constant_(module.bias, 0.5)
    return net.eval()


def test_frames_are_one_sample_over_time(event_net, frames):
    fired = {}
    for name, node in spiking_layers(event_net).items():
        node.register_forward_hook(lambda _m, _i, spikes, name=name: fired.update({name: spikes.flatten(1).bool()}))
    with torch.no_grad():
        event_net(frames[:, None])
    expected = dict(fired)
    for x in (frames, frames[:, None]):
        raster = spike_raster(event_net, x)
        assert raster.keys() == expected.keys()
        assert all(torch.equal(raster[name], expected[name]) for name in raster)
    neuron = int(raster["features.1.act"].sum(0).argmax())
    recorded = trace(event_net, frames, "features.1.act", neuron)
    assert torch.equal(recorded.spikes, raster["features.1.act"][:, neuron])
    assert len(trace(event_net, frames, "features.1.act", neuron, steps=2).v) == 2


@pytest.mark.parametrize("shape", [(1, 2, 32, 32), (5, 3, 2, 32, 32), (32, 32)])
def test_what_is_no_single_sample_is_refused(event_net, shape):
    for look in (spike_raster, lambda net, x: trace(net, x, "features.0.act", 0)):
        with pytest.raises(InputError, match=r"give one sample, an image \[C, H, W\] or frames \[T, C, H, W\]"):
            look(event_net, torch.rand(shape))


def test_a_trace_refuses_what_is_not_there(event_net, frames):
    with pytest.raises(InputError, match=r"features\.0\.act has the neurons 0 to 16383, not 16384"):
        trace(event_net, frames, "features.0.act", 16 * 32 * 32)
    with pytest.raises(InputError, match="steps must be at most the number of frames, 5, got 9"):
        trace(event_net, frames, "features.0.act", 0, steps=9)
    with pytest.raises(InputError, match=r"a network of clif\.models, got a Sequential"):
        spike_raster(torch.nn.Sequential(clif.CLIFNode()), frames)


def own(node):
    return torch.nn.Sequential(torch.nn.Linear(8, 8), node, torch.nn.Linear(8, 4), clif.LIFNode(step_mode="m"))


def batches():
    return [(torch.rand(4, n, 8) * 3, torch.zeros(n)) for n in (3, 2)]


def test_every_batch_and_call_begins_at_rest():
    net, loader = own(clif.CLIFNode(step_mode="m")), batches()
    rates = firing_rates(net, loader)
    assert rates["1"] > 0
    assert firing_rates(net, loader) == rates
    one_by_one = [firing_rates(net, [batch])["1"] for batch in loader]
    assert rates["1"] == pytest.approx((3 * one_by_one[0] + 2 * one_by_one[1]) / 5)


def test_recording_gives_back_state_and_modes(event_net, frames):
    event_net.train()
    event_net.features[0].fwd[1].eval()
    clif.set_step_mode(event_net, "s")
    event_net(frames[:1])
    states = {name: node.state for name, node in spiking_layers(event_net).items()}
    rates = firing_rates(event_net, [(frames[:, None], torch.zeros(1))])
    spike_raster(event_net, frames)
    trace(event_net, frames, "features.0.act", 0)
    assert event_net.step_mode == "s"
    assert (event_net.training, event_net.features[0].fwd[1].training) == (True, False)
    for name, node in spiking_layers(event_net).items():
        assert all(a is b for a, b in zip(node.state, states[name], strict=True))
    clif.set_step_mode(event_net, "m")
    assert firing_rates(event_net, [(frames[:, None], torch.zeros(1))]) == rates


class Renamed(clif.CLIFNode):
    pass


def test_subclasses_are_counted():
    assert firing_rates(own(Renamed(step_mode="m")), batches()).keys() == {"1", "3"}


def test_spikingjellys_neurons_are_counted():
    reason = "SpikingJelly cannot be imported"
    neuron = pytest.importorskip("spikingjelly.activation_based.neuron", reason=reason, exc_type=ImportError)
    net, loader = own(neuron.LIFNode(step_mode="m")), batches()
    rates = firing_rates(net, loader)
    assert rates.keys() == {"1", "3"}
    assert rates["1"] > 0
    assert firing_rates(net, loader) == rates
    assert net[1].v == 0.0


def test_a_network_without_spikes_and_an_empty_loader_are_refused():
    with pytest.raises(InputError, match="Linear has no spiking neuron"):
        firing_rates(torch.nn.Linear(8, 8), batches())
    with pytest.raises(InputError, match="the loader is empty"):
        firing_rates(own(clif.CLIFNode(step_mode="m")), [])


class Unused(torch.nn.Linear):
    """Has a spiking neuron that its forward does not call."""

    def __init__(self):
        super().__init__(8, 2)
        self.act = clif.LIFNode(step_mode="m")


@pytest.mark.parametrize(
    "measure",
    [
        lambda net, x: clif.analysis.firing_rates(net, [x]),
        lambda net, x: clif.analysis.raster(net, x[:, :1]),
        lambda net, x: clif.analysis.traces(net, x[:, :1], {"act": 0}),
        lambda net, x: clif.analysis.histograms(net, [x]),
        lambda net, x: clif.analysis.spike_statistics(net, [x]),
        lambda net, x: clif.analysis.similarity(net, net, [x]),
        lambda net, x: clif.analysis.temporal_gradient(net, [(x, torch.arange(4) % 2)]),
    ],
)
def test_neurons_that_are_never_called_are_an_error(measure):
    with pytest.raises(InputError, match="Unused called none of these spiking neurons"):
        measure(Unused(), torch.rand(6, 4, 8))


def test_a_tensor_is_no_loader():
    net, x = torch.nn.Sequential(torch.nn.Linear(4, 6), clif.LIFNode(step_mode="m")), torch.rand(6, 5, 4)
    for call in (
        lambda: analysis.firing_rates(net, x),
        lambda: analysis.similarity(net, net, x),
        lambda: analysis.temporal_gradient(net, x),
        lambda: clif.energy.estimate(net, x),
    ):
        with pytest.raises(InputError, match=r"iterable of batches, got a tensor \[6, 5, 4\]; give \[x\]"):
            call()


def test_a_sequence_in_parts_has_the_rates_and_statistics_of_the_whole():
    torch.manual_seed(0)
    net = torch.nn.Sequential(torch.nn.Linear(4, 6), clif.LIFNode(step_mode="m"))
    batches = [4 * torch.rand(6, 5, 4), 4 * torch.rand(6, 3, 4)]

    def in_parts(net, x):
        return [net(part) for part in x.split([1, 3, 2])]

    for measure in (analysis.firing_rates, analysis.spike_statistics):
        assert measure(net, batches, forward=in_parts).to_dict() == measure(net, batches).to_dict()
    assert len(analysis.firing_rates(net, batches, forward=in_parts).by_step["1"]) == 6


def test_calls_from_rest_are_sequences_of_their_own():
    net = torch.nn.Sequential(torch.nn.Linear(4, 6), clif.LIFNode(step_mode="m"))
    clif.neurons.set_keep_state(net, False)
    x = 4 * torch.rand(6, 5, 4)
    found = analysis.spike_statistics(net, [x], forward=lambda net, x: [net(x), net(x)])
    assert found["1"].samples == 10
    assert len(analysis.firing_rates(net, [x], forward=lambda net, x: [net(x), net(x)]).by_step["1"]) == 6


class InPlace(torch.nn.Module):
    """Two layers of neurons whose input and spikes the network then changes, in place or in copies."""

    def __init__(self, in_place, step_mode):
        super().__init__()
        self.first, self.linear = clif.LIFNode(step_mode=step_mode), torch.nn.Linear(4, 4)
        self.second = clif.CLIFNode(step_mode=step_mode)
        self.in_place = in_place

    def forward(self, x):
        x = x * 1.5
        residual = self.first(x)
        out = self.second(3 * self.linear(residual))
        if self.in_place:
            x.mul_(0.2)
            out.mul_(x).add_(residual)
            return out
        return out * (x * 0.2) + residual


@pytest.mark.parametrize("step_mode", ["s", "m"])
@pytest.mark.parametrize(
    "measure",
    [
        analysis.firing_rates,
        analysis.spike_statistics,
        analysis.histograms,
        lambda net, loader, forward: analysis.similarity(net, net, loader, forward=forward),
        lambda net, loader, forward: analysis.traces(net, loader[0][:, :1], {"first": 0, "second": 3}, forward=forward),
        lambda net, loader, forward: analysis.raster(net, loader[0][:, :1], forward=forward),
        lambda net, loader, forward: analysis.temporal_gradient(
            net, [(loader[0], torch.arange(5) % 4)], clif.loss.CrossEntropy(), forward=forward
        ),
    ],
)
def test_what_the_network_changes_in_place_is_measured_before(measure, step_mode):
    torch.manual_seed(0)
    nets = [InPlace(in_place, step_mode) for in_place in (True, False)]
    nets[0].load_state_dict(nets[1].state_dict())
    x = 2 * torch.rand(6, 5, 4)

    def forward(net, x):
        return net(x) if step_mode == "m" else torch.stack([net(step) for step in x])

    changed, expected = (measure(net, [x], forward=forward).to_dict() for net in nets)
    assert changed == expected
