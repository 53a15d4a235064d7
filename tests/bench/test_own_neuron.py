"""`clif bench neuron` for neurons outside of clif: those of examples/own_neuron.py, and more unusual ones."""

import json
import re
from pathlib import Path

import pytest
import torch

import clif
from clif.bench import first_call, gate, neuron
from clif.bench.definition import Contestant, Layer, loop
from clif.bench.jumps import Distance
from clif.bench.neuron_contestants import factories
from clif.bench.settings import NeuronSettings
from clif.cli import main
from clif.errors import InputError
from clif.neurons import registry
from clif.ops import cpu
from clif.user_code import import_code

EXAMPLE = Path(__file__).parents[2] / "examples" / "own_neuron.py"
CPU = torch.device("cpu")
OWN = ["InputGateLIF", "ChannelLeakLIF"]
needs_kernels = pytest.mark.skipif(cpu.unavailable() is not None, reason=cpu.DESCRIPTION)

pytestmark = pytest.mark.usefixtures("own_neurons")


@pytest.fixture
def own_neurons(own_code):
    """The neurons of the example, in a file `own_neuron.py` in the current folder; unregistered after the test."""
    before = dict(registry.NEURONS)
    own_code.write("own_neuron.py", EXAMPLE.read_text())
    import_code(["own_neuron.py"])
    yield
    registry.NEURONS.clear()
    registry.NEURONS.update(before)


def contestant(name, kind, dtype=torch.float64, channels=6):
    return factories(kind)[name](Layer(kind, channels, dtype, CPU))


def x_seq(dtype=torch.float64, shape=(5, 3, 6, 8, 9)):
    return torch.randn(shape, dtype=torch.float64).to(dtype)


@pytest.mark.parametrize("name", ["torch", "cpu", "SpikingJelly FlexSN"])
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
@pytest.mark.parametrize("kind", OWN)
@needs_kernels
def test_contestants_compute_the_users_neuron(kind, name, dtype):
    assert gate.refuses(contestant(name, kind, dtype), x_seq(dtype)) is None


@needs_kernels
@pytest.mark.parametrize("kind", OWN)
def test_kernels_in_bfloat16_pass_the_gate(kind):
    assert gate.refuses(contestant("cpu", kind, torch.bfloat16), x_seq(torch.bfloat16)) is None


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # PyTorch's own, when it loads its compiler
@pytest.mark.filterwarnings("ignore:The .grad attribute of a Tensor")  # as it goes on after a graph break
@pytest.mark.slow
@pytest.mark.parametrize("kind", OWN)
def test_the_compiled_loop_computes_the_users_neuron(kind):
    assert gate.refuses(contestant("torch.compile", kind, torch.float32), x_seq(torch.float32)) is None


def test_a_coefficient_of_the_next_channel_is_seen():
    right = contestant("torch", "ChannelLeakLIF")
    (k,) = right.parameters
    with torch.no_grad():
        k.copy_(torch.linspace(-2, 2, 6))
    assert gate.refuses(right, x_seq()) is None
    wrong = Contestant(lambda x: right.run(x.roll(1, 2)).roll(-1, 2), right.definition, right.parameters)
    assert "of its spikes differ from those of ChannelLeakLIF()" in gate.refuses(wrong, x_seq())


def test_a_gradient_of_a_channel_is_compared():
    right = contestant("torch", "ChannelLeakLIF")
    (k,) = right.parameters
    shifted = k.detach().clone().requires_grad_()

    def run(x):
        spikes = right.run(x)
        return spikes + 0 * shifted.sum()

    wrong = Contestant(run, right.definition, (shifted,))
    assert "its gradients differ" in gate.refuses(wrong, x_seq())


def test_all_follows_from_the_class():
    names = set(factories("InputGateLIF"))
    assert names == {*clif.backends(), "torch.compile", "SpikingJelly FlexSN"}
    assert {"snnTorch Leaky", "norse LIFBox"} <= set(factories("LIF"))


def test_a_neuron_by_channel_needs_the_axis():
    with pytest.raises(InputError, match=re.escape("ChannelLeakLIF has k by channel: give --shape as T, N, C")):
        neuron.run(NeuronSettings(neuron="ChannelLeakLIF", shape=(2, 10)))


def test_a_sweep_keeps_the_channels():
    settings = NeuronSettings(
        neuron="channelleaklif", shape=(2, 3, 4), sweep=("T",), contestants=("torch",), dtypes=("float32",), rounds=1
    )
    report = neuron.run(settings)
    assert report.settings["neuron"] == "ChannelLeakLIF"
    timed = [row for row in report.rows if row.name == "torch"]
    assert [row.figures["T"] for row in timed] == [2, *neuron.SWEPT_T]
    assert all(row.timing is not None for row in timed)


def test_an_option_without_a_default_is_named():
    @clif.register_neuron("Needy")
    class Needy(clif.LIFNode):
        def __init__(self, gain, **options):
            super().__init__(**options)
            self.gain = gain

    with pytest.raises(InputError, match="Needy is timed with the defaults of its class, and gain has none"):
        neuron.run(NeuronSettings(neuron="Needy"))


def test_a_step_that_kernels_refuse_is_timed_by_the_loop():
    @clif.register_neuron("Summing")
    class Summing(clif.SpikingNeuron):
        def step(self, x, v):
            u = torch.special.erfcx(v) + x
            spike = self.fire(u)
            return spike, self.reset_after(u, spike)

    settings = NeuronSettings(
        neuron="Summing", shape=(2, 10), contestants=("cpu", "torch"), dtypes=("float64",), rounds=1
    )
    rows = {row.name: row for row in neuron.run(settings).rows[2:]}
    assert rows["torch"].timing is not None
    assert rows["cpu"].timing is None
    assert "backend 'cpu' cannot" in rows["cpu"].note


def test_spikes_and_kinks_are_jumps():
    x = torch.tensor([0.3, -2.0, 0.9])
    with Distance(x) as distance:
        torch.where(x.clamp(-1, 1) > 0.5, x, -x)
        x.relu()
        torch.maximum(x, torch.tensor(0.25))
        (2 * x).floor()
        (x.sum() > 0).any()
        (x * 0).relu()  # a state at rest
    torch.testing.assert_close(distance.nearest, torch.tensor([0.05, 0.0, 0.1]))


def test_neurons_at_a_kink_of_their_own_are_not_compared_in_float32():
    @clif.register_neuron("Kinked")
    class Kinked(clif.SpikingNeuron):
        def step(self, x, v):
            u = 0.5 * v + torch.where(x > 0.25, 3 * x, x)
            spike = self.fire(u)
            return spike, self.reset_after(u, spike)

    made = contestant("torch", "Kinked", torch.float32)
    x = torch.randn(3, 4, 50)
    x[:, :, :20] = 0.25
    nudged = Contestant(lambda x: made.run(x * (1 + 1e-6)), made.definition)
    assert gate.refuses(nudged, x) is None
    x[:, :, :40] = 0.25
    assert "too near to a discontinuity" in gate.refuses(nudged, x)


@pytest.mark.slow
@needs_kernels
@pytest.mark.multiprocess
def test_the_command_says_how_long_the_first_call_takes(tmp_path, capsys):
    words = ["--neuron", "InputGateLIF", "--shape", "3", "2", "50", "--rounds", "1", "--contestants", "cpu"]
    options = ["--import", "own_neuron.py", "--dtype", "float32", "--json", str(tmp_path / "a.json")]
    assert main(["bench", "neuron", *words, *options]) == 0
    shown = capsys.readouterr().out
    found = re.search(r"cpu float32: first call \(compiles\) ([\d.]+) s, from the cache ([\d.]+) s", shown)
    assert float(found[1]) > float(found[2]) > 0
    row = json.loads((tmp_path / "a.json").read_text())["rows"][-1]
    assert row["name"] == "cpu"
    assert row["figures"]["bytes kept"] < 4.1


@needs_kernels
def test_the_first_call_of_a_program_is_timed(capsys):
    plan = contestant("cpu", "ChannelLeakLIF", torch.float32).plan
    first_call.first_call(plan.text, json.dumps(plan.constants), "cpu", "float32", "cpu")
    assert 0 < json.loads(capsys.readouterr().out) < 600


def test_neurons_that_clif_ships_have_no_such_line():
    settings = NeuronSettings(shape=(2, 10), contestants=("cpu",), dtypes=("float32",), rounds=1)
    assert all("first call" not in row.note for row in neuron.run(settings).rows)


@pytest.mark.parametrize("kind", OWN)
def test_networks_take_the_example(kind):
    net = clif.models.create_model("snn5_noAP", kind, T=2)
    logits = net(torch.rand(2, 3, 32, 32))
    logits.sum().backward()
    assert all(parameter.grad is not None for parameter in net.parameters())


def test_the_loop_begins_at_rest():
    node = clif.LIFNode(step_mode="m", v_reset=-0.5)
    x = x_seq()
    torch.testing.assert_close(loop(node.equations(), x), node(x))
