"""`clif bench neuron`: every contestant computes its definition, and the gate refuses one that does not."""

import dataclasses
import json
import re

import pytest
import torch

from clif import surrogate
from clif.bench import gate, neuron, neuron_peers
from clif.bench.definition import Contestant, Definition, Layer, UnavailableError, loop
from clif.bench.neuron_contestants import factories
from clif.bench.settings import NeuronSettings
from clif.cli import main
from clif.errors import InputError
from clif.names import neuron_names
from clif.ops import cpu
from clif.ops.dispatch import BACKENDS

CPU = torch.device("cpu")
NEURONS = ["CLIF", "LIF", "PLIF"]


def contestant(name, kind="CLIF", dtype=torch.float64, device="cpu"):
    try:
        return factories(kind, device)[name](Layer(kind, None, dtype, CPU))
    except ImportError as error:
        pytest.skip(str(error))


def x_seq(dtype=torch.float64, T=7, shape=(3, 900)):
    return torch.randn(T, *shape, dtype=torch.float64).to(dtype)


EXACT = ["SpikingJelly FlexSN", "SpikingJelly ComplementaryLIFNode", "SpikingJelly LIFNode", "norse LIFBox", "torch"]


@pytest.mark.parametrize(
    ("name", "dtype"),
    [
        *((name, dtype) for name in EXACT for dtype in (torch.float64, torch.float32)),
        ("snnTorch Leaky", torch.float32),  # its spikes are float32 for any input
    ],
)
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_contestants_compute_their_definitions(name, dtype):
    assert gate.refuses(contestant(name, dtype=dtype), x_seq(dtype)) is None


@pytest.mark.skipif(cpu.unavailable() is not None, reason=cpu.DESCRIPTION)
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16])
@pytest.mark.parametrize("kind", NEURONS)
def test_our_kernels_pass_the_gate(kind, dtype):
    assert gate.refuses(contestant("cpu", kind, dtype), x_seq(dtype)) is None


@pytest.mark.parametrize("kind", NEURONS)
def test_spikingjellys_neuron_of_the_same_kind_is_a_contestant(kind):
    names = [name for name in factories(kind) if name.startswith("SpikingJelly") and name != neuron_peers.FLEXSN]
    assert len(names) == (1 if kind == "LIF" else 2)
    assert gate.refuses(contestant(names[0], kind), x_seq()) is None


def changed(run=None, neuron="CLIF", **options):
    """CLIF's definition, with a contestant that computes something slightly different."""
    right = contestant("torch")
    node = Definition(neuron, options).node(Layer(neuron, None, torch.float64, CPU))
    return Contestant(run or (lambda x: loop(node.equations(), x)), right.definition)


class Scaled(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        return x.clone()

    @staticmethod
    def backward(ctx, grad):
        return grad * 1.001


class Leaking(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        return x.clone()

    @staticmethod
    def backward(ctx, grad):
        return grad + 1e-6 * (grad == 0)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (changed(v_threshold=1.01), r"of its spikes differ from those of CLIF\(\)"),
        (changed(neuron="LIF"), "of its spikes differ"),
        (changed(detach_reset=True), "its gradients differ by"),
        (changed(run=lambda x: contestant("torch").run(Scaled.apply(x))), "its gradients differ by"),
    ],
)
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
def test_the_gate_is_red_for_what_computes_something_else(wrong, message, dtype):
    assert re.search(message, gate.refuses(wrong, x_seq(dtype)))


def test_the_gate_is_red_for_gradients_where_none_came_in():
    wrong = changed(run=lambda x: contestant("torch").run(Leaking.apply(x)))
    assert "gradients for neurons that have none" in gate.refuses(wrong, x_seq(torch.float32, shape=(5, 5000)))


def test_the_gate_is_red_for_unwritten_spikes_at_the_end():
    def run(x):
        spikes = contestant("torch").run(x)
        return torch.cat([spikes[..., :-1], spikes[..., -1:] * 0 + float("nan")], dim=-1)

    assert "spikes differ" in gate.refuses(changed(run=run), x_seq(torch.float32, shape=(5, 5001)))


def test_w_of_plif_is_compared():
    right = contestant("torch", "PLIF")
    (w,) = right.parameters
    equations = right.definition.node(Layer("PLIF", None, torch.float64, CPU)).equations()

    def run(x):
        return loop(dataclasses.replace(equations, learnables={"w": Scaled.apply(w)}), x)

    assert "its gradients differ" in gate.refuses(Contestant(run, right.definition, (w,)), x_seq())


def test_shapes_of_the_sweeps():
    settings = NeuronSettings(shape=(6, 2, 12), sweep=("T", "size"))
    found = neuron.shapes(settings)
    assert found[0] == (6, 2, 12)
    assert (2, 72) in found
    assert (64, 2) in found
    assert [shape for shape in found if shape[0] == 6 and len(shape) == 2][-1] == (6, 4**10)
    assert neuron.shapes(dataclasses.replace(settings, sweep=())) == [(6, 2, 12)]
    assert all(shape[2] == 12 for shape in neuron.shapes(settings, 12))


def test_the_command_measures_and_writes(tmp_path, capsys):
    words = ["--shape", "3", "2", "50", "--rounds", "2", "--contestants", "torch", "--dtype", "float32,bfloat16"]
    assert main(["bench", "neuron", *words, "--json", str(tmp_path / "a.json"), "--threads", "1"]) == 0
    shown = capsys.readouterr().out
    assert "over copy" in shown
    assert "1 threads" in shown
    rows = json.loads((tmp_path / "a.json").read_text())["rows"]
    times = {(row["name"], row["dtype"]): row["timing"] for row in rows}
    assert times["torch", "bfloat16"]["median"] > 0
    assert times[neuron.COPY, "float32"]["rounds"] == 2
    by_name = {(row["name"], row["dtype"]): row["figures"] for row in rows}
    assert by_name["torch", "float32"]["bytes kept"] > 10
    assert by_name["torch", "bfloat16"]["over float32"] > 0


def test_no_time_is_reported_on_a_red_gate(monkeypatch):
    monkeypatch.setattr(gate, "refuses", lambda *_: "wrong")
    report = neuron.run(NeuronSettings(shape=(2, 10), rounds=1, contestants=("torch",), dtypes=("float32",)))
    row = report.rows[-1]
    assert (row.name, row.timing, row.note) == ("torch", None, "no time is reported: wrong")


def test_memory_is_as_usual_after_a_mistake(monkeypatch):
    calls = []
    for name in ("keep", "usual"):
        monkeypatch.setattr(neuron.memory, name, lambda name=name: calls.append(name))
    with pytest.raises(InputError, match="unknown contestant"):
        neuron.run(NeuronSettings(shape=(2, 10), contestants=("nobody",)))
    assert calls == ["keep", "usual"]


def test_a_backend_that_cannot_run_says_why(monkeypatch):
    monkeypatch.setitem(BACKENDS, "cpu", dataclasses.replace(BACKENDS["cpu"], unavailable=lambda: "it is asleep"))
    report = neuron.run(NeuronSettings(shape=(2, 10), rounds=1, contestants=("cpu",), dtypes=("float32",)))
    assert report.rows[-1].note == "backend 'cpu' cannot run here: it is asleep"


def test_a_dtype_that_the_kernels_do_not_take_is_said():
    report = neuron.run(NeuronSettings(shape=(2, 10), rounds=1, contestants=("cpu",), dtypes=("float16",)))
    assert "'cpu' cannot" in report.rows[-1].note


def test_spikingjellys_kernels_are_for_cuda_and_their_neuron_computes_the_definition():
    name = "SpikingJelly LIFNode ATan"
    assert name not in factories("LIF")
    assert name not in factories("Slope", "cuda")
    with pytest.raises(UnavailableError, match="for CUDA only"):
        contestant(name, device="cuda")
    definition = neuron_peers.PEERS[name].definition
    assert definition.options["surrogate_function"] == surrogate.ATan()
    layer = Layer("LIF", None, torch.float32, CPU)
    made = neuron_peers._spikingjelly("LIFNode", neuron_peers._atan, definition, layer)
    assert gate.refuses(made, x_seq(torch.float32)) is None


@pytest.mark.parametrize("found", ["triton", "torch"])
def test_spikingjellys_kernels_are_timed_where_it_has_them(found, monkeypatch):
    functional = neuron_peers._import("spikingjelly.activation_based.functional")
    monkeypatch.setattr(
        functional, "neuron_implementation", lambda *_: {"implementation": found, "unavailable": {"triton": "no"}}
    )
    made = []
    monkeypatch.setattr(neuron_peers, "_spikingjelly", lambda *given: made.append(given))
    layer = Layer("LIF", None, torch.float32, torch.device("cuda"))
    make = factories("CLIF", "cuda")["SpikingJelly LIFNode ATan"]
    if found == "triton":
        make(layer)
        assert [given[0] for given in made] == ["LIFNode"]
    else:
        with pytest.raises(UnavailableError, match="no kernels here"):
            make(layer)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("neuron --neuron ReLU", "ReLU is not a spiking neuron"),
        ("neuron --neuron CLFI", "unknown neuron 'CLFI'; did you mean CLIF"),
        ("neuron --dtype float23", "unknown dtype 'float23'"),
        ("neuron --sweep t", "unknown sweep 't'; did you mean T"),
        ("neuron --shape 6", "shape must be T, N and the rest"),
        ("neuron --shape 6 0", "each at least 1"),
        ("neuron --rounds 0", "rounds must be at least 1"),
        ("neuron --threads 0", "threads must be at least 1"),
        ("neuron --contestants spikingjely", "unknown contestant"),
        ("neuron --batch 3", "--batch is an option of clif bench step"),
        ("step --shape 6 2", "--shape is an option of clif bench neuron"),
        ("step -T 0", "T must be at least 1"),
        ("step --model resnet", "unknown model 'resnet'"),
        ("step --contestants plane", "unknown contestant 'plane'; did you mean plain"),
        ("step --device cuda:9", "no device 'cuda:9'"),
    ],
)
def test_mistakes_are_one_line(words, message, capsys):
    assert main(["bench", *words.split()]) == 2
    error = capsys.readouterr().err
    assert message in error
    assert len(error.splitlines()) == 1


def test_the_help_names_the_neurons(capsys):
    with pytest.raises(SystemExit):
        main(["bench", "--help"])
    shown = " ".join(capsys.readouterr().out.split())
    assert f"{', '.join(neuron_names())}, or one of your own" in shown


def test_settings_are_checked_before_anything_is_measured():
    with pytest.raises(InputError, match="unknown dtype"):
        NeuronSettings(dtypes=("int8",))
