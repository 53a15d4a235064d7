"""Functions for networks of clif also take plain modules of neurons, and wrapped ones, with the same results."""

import copy

import pytest
import torch
from torch import nn

import clif
from clif import analysis, deploy, energy, export
from clif.analysis import firing_rates
from clif.deploy.judge import judge
from clif.errors import InputError
from clif.evaluation import evaluate
from clif.neurons.net import visiting
from clif.train.monitor import LayerMonitor

T = 3
quietly = pytest.mark.filterwarnings("ignore")


def images(neuron):
    torch.manual_seed(0)
    net = nn.Sequential(
        nn.Conv2d(1, 4, 3, padding=1),
        nn.BatchNorm2d(4),
        neuron(),
        nn.AvgPool2d(2),
        nn.Conv2d(4, 4, 3, padding=1, bias=False),
        nn.BatchNorm2d(4),
        neuron(),
        nn.Flatten(),
        nn.Linear(64, 3),
    )
    return settle(net, (1, 8, 8))


def vectors(neuron):
    torch.manual_seed(0)
    return settle(nn.Sequential(nn.Linear(4, 8), nn.BatchNorm1d(8), neuron(), nn.Linear(8, 3)), (4,))


def settle(net, shape):
    for _ in range(5):
        clif.reset_net(net)
        net(torch.rand(16, *shape))
    clif.reset_net(net)
    return net.eval()


def hard():
    return clif.LIFNode(v_reset=0.0)


CASES = {"images": (images, (1, 8, 8)), "vectors": (vectors, (4,))}


@pytest.fixture(params=CASES)
def case(request):
    return CASES[request.param]


@pytest.fixture(params=["plain", "wrapped"])
def form(request):
    """A pair of functions: from a module to the tested form, and from a result to the module."""
    if request.param == "plain":
        return (lambda net, _: net), (lambda net: net)
    return (lambda net, shape: clif.wrap(net, T, shape)), (lambda net: net.net)


def sequence(shape, N=6):
    return torch.rand(T, N, *shape, generator=torch.Generator().manual_seed(3)) * 2


def loader(shape):
    return [(sequence(shape), torch.arange(6) % 3)] * 2


def steps(net, x_seq):
    """The results of a plain module, step by step."""
    with visiting(net, "s"):
        return torch.stack([net(x) for x in x_seq])


def test_scores_need_logits_of_every_step(case):
    make, shape = case
    net = make(clif.CLIFNode)
    wrapped = clif.wrap(net, T)
    scores = evaluate(wrapped, loader(shape))
    mean = steps(net, sequence(shape)).mean(0)
    assert scores.top1 == pytest.approx((mean.argmax(-1) == torch.arange(6) % 3).float().mean().item())
    inside = clif.wrap(net, T).net  # takes sequences, and keeps its state between calls
    clif.set_keep_state(inside, True)
    assert evaluate(inside, loader(shape)).top1 == scores.top1
    assert evaluate(inside, loader(shape)).loss == pytest.approx(scores.loss)
    with pytest.raises(InputError, match=r"logits are \[T, N, classes\]"):
        evaluate(net, [(sequence(shape)[0], torch.zeros(6, dtype=torch.int64))])


@pytest.mark.parametrize(
    "options", [{}, {"v_reset": -0.1}, *({"method": method} for method in deploy.METHODS)], ids=str
)
def test_clif_becomes_lif(case, form, options):
    (make, shape), (given, back) = case, form
    net = make(clif.CLIFNode)
    before = copy.deepcopy(net.state_dict())
    if "method" in options:
        options = {**options, "loader": loader(shape)}
    if options.get("method") == "calibrate" and shape == (4,):
        with pytest.raises(InputError, match="no batch norm before it"):
            deploy.clif_to_lif(given(net, shape), **options)
        return
    lif = back(deploy.clif_to_lif(given(net, shape), **options))
    assert [type(m).__name__ for m in lif if isinstance(m, clif.SpikingNeuron)] == ["LIFNode"] * (1 + (len(net) > 4))
    assert steps(lif, sequence(shape)).shape == (T, 6, 3)
    assert lif.state_dict().keys() == before.keys()
    for name, value in net.state_dict().items():
        assert torch.equal(value, before[name])


@pytest.mark.parametrize("function", [deploy.fold_batch_norm, deploy.exact_sums, deploy.quantize_weights])
def test_weights_are_folded_and_rounded(case, form, function):
    (make, shape), (given, back) = case, form
    net, x_seq = make(hard), (sequence(shape) * 128).round() / 128
    if function is deploy.quantize_weights and not hasattr(torch.ops.onednn, "qconv2d_pointwise"):
        pytest.skip("this PyTorch has no oneDNN")
    changed = back(function(given(net, shape)))
    assert not any(isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d) for module in changed.modules()) or (
        function is deploy.quantize_weights
    )
    if function is deploy.quantize_weights and shape != (4,):
        assert isinstance(changed[4], deploy.Int8Conv2d)
    near = {"rtol": 0.0, "atol": 0.2} if function is deploy.quantize_weights else {"rtol": 1e-4, "atol": 1e-4}
    torch.testing.assert_close(steps(changed, x_seq), steps(net, x_seq), **near)


@pytest.mark.parametrize("door", ["image", "sequence", "step"])
@quietly
def test_programs(case, form, door):
    (make, shape), (given, _) = case, form
    net, x_seq = make(clif.CLIFNode), sequence(shape)
    wrapped = given(net, shape)
    options = {} if wrapped is not net else {"input_shape": shape, "T": T}
    program = export.to_program(wrapped, door, **options).module()
    if door == "step":
        state = export.initial_state(wrapped, 6, **{k: v for k, v in options.items() if k != "T"})
        assert list(state) == export.signature(wrapped, "step").inputs[1:]
        assert "2.v" in state
        logits = program(x_seq[0], list(state.values()))[0]
        torch.testing.assert_close(logits, steps(net, x_seq[:1])[0], rtol=1e-4, atol=1e-5)
        return
    x = x_seq if door == "sequence" else x_seq[0]
    wanted = x_seq if door == "sequence" else x_seq[:1].expand_as(x_seq)
    torch.testing.assert_close(program(x), steps(net, wanted), rtol=1e-4, atol=1e-5)


@pytest.mark.slow
@quietly
def test_onnx(case, form, tmp_path):
    runtime = pytest.importorskip("onnxruntime")
    pytest.importorskip("onnxscript")
    (make, shape), (given, _) = case, form
    net, x = make(clif.CLIFNode), sequence(shape)[0]
    wrapped = given(net, shape)
    options = {} if wrapped is not net else {"input_shape": shape, "T": T}
    path = export.to_onnx(wrapped, tmp_path / "net.onnx", **options)
    (got,) = runtime.InferenceSession(str(path), providers=["CPUExecutionProvider"]).run(None, {"x": x.numpy()})
    torch.testing.assert_close(torch.as_tensor(got), steps(net, x.expand(T, *x.shape)), rtol=1e-4, atol=1e-5)


def test_nir(case, form, tmp_path):
    pytest.importorskip("nir")
    (make, shape), (given, _) = case, form
    net, x_seq = make(hard), sequence(shape)
    wrapped = given(net, shape)
    graph = export.to_nir(wrapped, tmp_path / "net.nir", **({} if wrapped is not net else {"input_shape": shape}))
    assert "2" in graph.nodes
    torch.testing.assert_close(export.from_nir(tmp_path / "net.nir")(x_seq), steps(net, x_seq), rtol=1e-4, atol=1e-4)


def test_rates_and_energy(case, form):
    (make, shape), (given, _) = case, form
    net = make(clif.CLIFNode)
    expected = firing_rates(clif.wrap(net, T), loader(shape))
    found = energy.estimate(given(net, shape), loader(shape))
    assert found.firing_rates == pytest.approx(expected)
    assert (found.neuron, found.T, found.images) == ("CLIF", T, 12)
    assert [layer.name for layer in found.layers if layer.name in ("0", "2")] == ["0", "2"]
    assert found.acs > 0
    published = energy.published(given(net, shape), list(expected.values()), shape, T=T)
    assert found.as_dict()["published_mJ"] == pytest.approx(published.total_mJ)


def test_a_layer_has_the_same_name_everywhere(case):
    make, shape = case
    net = make(clif.CLIFNode)
    wrapped, names = clif.wrap(net, T, shape), list(analysis.spiking_layers(net))
    assert names[0] == "2"
    assert list(analysis.spiking_layers(wrapped)) == names
    assert list(firing_rates(wrapped, loader(shape), layers=["2"])) == ["2"]
    assert list(analysis.spike_statistics(wrapped, loader(shape)).layers) == names
    assert list(LayerMonitor(wrapped, torch.device("cpu"), thorough=True).names) == names
    assert list(judge({"net": wrapped}, loader(shape))[0].firing_rates) == names


def test_streams_predict(case):
    make, shape = case
    net, x_seq = make(clif.CLIFNode), sequence(shape)
    stream = deploy.StreamPredictor(clif.wrap(net, T))
    for x in x_seq:
        scores = stream(x)
    torch.testing.assert_close(scores, steps(net, x_seq).mean(0))


def test_the_energy_of_samples_of_another_shape_is_refused():
    net = nn.Sequential(nn.Linear(6, 8), clif.CLIFNode(), nn.Flatten(), nn.Linear(24, 3))
    batches = [(torch.rand(T, 5, 3, 6), torch.zeros(5))]
    with pytest.raises(InputError, match=r"samples of this network have 1 axes, got a batch \[3, 5, 3, 6\]; clif.wrap"):
        energy.estimate(net, batches)
    assert energy.estimate(clif.wrap(net, T, input_shape=(3, 6)), batches).images == 5
