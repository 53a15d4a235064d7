"""The kernels of 64-bit ARM under emulation, compared with the reference and with this machine's results."""

from collections.abc import Iterator

import checks
import golden
import pytest
import torch
from aarch64 import Emulated, build, missing
from cases import TOLERANCES, Case, any_case, assert_equals_reference
from hypothesis import given, settings
from hypothesis import strategies as st

import clif
from clif.instruction_sets import ARM
from clif.ops import cpu, isa
from clif.ops.cpu import Geometry
from clif.ops.packing import Packed, pack, unpack
from clif.surrogate import ATan, Sigmoid

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(cpu.unavailable() is not None, reason=cpu.DESCRIPTION),
    pytest.mark.skipif(missing() is not None, reason=str(missing())),
]

DTYPES = (torch.float64, torch.float32, torch.bfloat16)
NEURONS = ("CLIF", "LIF", "PLIF")


class Own(clif.SpikingNeuron):
    """A user's neuron with two states, and a learnt threshold per channel."""

    states = {"v": 0.0, "a": 0.5}
    learnable = {"threshold": "channel"}

    def __init__(self, channels: int, **options) -> None:
        super().__init__(surrogate_function="sigmoid", step_mode="m", **options)
        self.threshold = torch.nn.Parameter(torch.linspace(0.4, 1.2, channels))

    def step(self, x, v, a, threshold):
        u = 0.75 * v + x * torch.sigmoid(a)
        spike = self.fire(u, threshold + a)
        return spike, self.reset_after(u, spike), 0.5 * a + 0.25 * spike


@pytest.fixture(scope="module")
def driver(tmp_path_factory) -> str:
    programs = [Own(3).equations().plan.text, checks.all_at_once().text]
    return build(tmp_path_factory.mktemp("aarch64"), programs)


@pytest.fixture(scope="module")
def machine(driver) -> Iterator[Emulated]:
    emulated = Emulated(driver)
    yield emulated
    emulated.close()


@pytest.fixture(scope="module", params=ARM)
def arm(machine, request) -> Iterator[str]:
    """The name of each instruction set of the emulated processor, on which the backend "cpu" computes."""
    before = machine.calls
    with machine.in_place(request.param):
        yield request.param
    assert machine.calls > before


@pytest.mark.parametrize(("processor", "unit"), [("max", 1), ("cortex-a53", 0)])
def test_what_the_library_says_of_the_processor(driver, processor, unit):
    emulated = Emulated(driver, processor)
    assert emulated.fact("clif_interface") == isa.INTERFACE
    assert isa.NAMES[emulated.fact("clif_isa")] == "neon"
    assert emulated.fact("clif_bfloat16_unit") == unit
    emulated.close()


@pytest.mark.parametrize("name", [name for name in isa.NAMES if name not in ARM])
def test_the_library_has_no_set_of_another_processor(name, machine):
    with machine.in_place(name), pytest.raises(AssertionError, match="clif_pack"):
        pack(torch.ones(3))


@pytest.mark.usefixtures("arm")
@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float64, 1e-10), (torch.float32, 1e-5)])
@pytest.mark.parametrize("case", golden.CASES, ids=lambda c: f"{c['index']}-{c['neuron']}-{c['surrogate']}")
def test_original_numbers(case, dtype, tolerance):
    checks.assert_original_numbers(case, dtype, tolerance)


@pytest.mark.usefixtures("arm")
@given(case=any_case(), dtype=st.sampled_from(DTYPES))
@settings(max_examples=300, deadline=None, derandomize=True)
def test_equals_reference(case, dtype):
    assert_equals_reference(case, "cpu", dtype)


@pytest.mark.usefixtures("arm", "poisoned")
@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("neuron", NEURONS)
def test_any_size(neuron, dtype):
    for size in (1, 2, 3, 5, 7, 15, 16, 17, 31, 32, 33, 63, 65, 127, 513, 2049):
        assert_equals_reference(Case(neuron, T=3, shape=(1, size), seed=size), "cpu", dtype)


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("neuron", NEURONS)
def test_spikes_are_those_of_this_machine(neuron, dtype, machine):
    case = Case(neuron, T=6, shape=(7, 1433), surrogate=ATan())
    everywhere = torch.ones(case.shape)
    expected = case.run("cpu", dtype, everywhere)
    tolerance = TOLERANCES[dtype]
    for name in ARM:
        with machine.in_place(name):
            actual = case.run("cpu", dtype, everywhere)
        torch.testing.assert_close(actual["spike"], expected["spike"], rtol=0, atol=0)
        torch.testing.assert_close(actual, expected, rtol=tolerance, atol=tolerance)


@pytest.mark.usefixtures("arm")
def test_threads_change_no_bit():
    case = Case("CLIF", T=4, shape=(5, 20_011), surrogate=Sigmoid())
    threads = torch.get_num_threads()
    results = []
    for count in (1, 3):
        torch.set_num_threads(count)
        results.append(case.run("cpu", torch.float32, torch.ones(case.shape)))
    torch.set_num_threads(threads)
    torch.testing.assert_close(results[0], results[1], rtol=0, atol=0)


@pytest.mark.usefixtures("arm")
@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("C", [1, 3, 17, 64, 129])
@pytest.mark.parametrize("neuron", NEURONS)
def test_with_a_batch_norm(neuron, C, training):
    node = getattr(clif, f"{neuron}Node")(step_mode="m", surrogate_function=ATan()).double()
    checks.check_equal(node, checks.batch_norm(C, training=training), checks.sequence(3, 2, C, 3, 5))


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("neuron", NEURONS)
def test_with_a_batch_norm_spikes_are_those_of_this_machine(neuron, dtype, machine):
    """With learnt statistics, because those of a batch depend on the order of sums."""
    x = checks.sequence(4, 3, 19, 5, 7, dtype)
    norm = checks.batch_norm(19, torch.float64 if dtype == torch.float64 else torch.float32, training=False)
    node = getattr(clif, f"{neuron}Node")(step_mode="m", surrogate_function=Sigmoid()).to(norm.weight.dtype)
    d_spike = torch.randn(x.shape, dtype=torch.float64).to(dtype)
    expected, _ = checks.results(node, norm, x, True, d_spike)
    assert 0.05 < expected["spikes"].mean() < 0.95
    for name in ARM:
        with machine.in_place(name):
            actual, _ = checks.results(node, norm, x, True, d_spike)
        assert torch.equal(actual["spikes"], expected["spikes"])
        for key, value in expected.items():
            scale = TOLERANCES[dtype] * max(1.0, value.abs().max().item())
            torch.testing.assert_close(actual[key], value, rtol=0, atol=scale, msg=key)


@pytest.mark.usefixtures("arm")
def test_bfloat16_is_rounded_to_the_nearest():
    checks.assert_rounds_to_the_nearest()


@pytest.mark.usefixtures("arm")
@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("shape", [(2, 3, 37), (3, 5, 4, 7), (1, 1, 1)])
def test_a_neuron_from_outside_the_package(shape, dtype):
    x_seq = (0.5 + torch.randn(5, *shape, dtype=torch.float64)).to(dtype)
    d_spike = torch.randn(x_seq.shape, dtype=torch.float64).to(dtype)
    results = []
    for backend, kind in (("torch", torch.float64), ("cpu", dtype)):
        node = Own(shape[1], backend=backend).to(torch.float64 if kind == torch.float64 else torch.float32)
        x = x_seq.to(kind).requires_grad_()
        spikes = node(x)
        spikes.backward(d_spike.to(kind))
        results.append([t.detach().double() for t in (spikes, *node.state, x.grad, node.threshold.grad)])
    assert torch.equal(results[0][0], results[1][0])
    for expected, actual in zip(*results, strict=True):
        scale = TOLERANCES[dtype] * max(1.0, expected.abs().max().item())
        torch.testing.assert_close(actual, expected, rtol=0, atol=scale)


@pytest.mark.usefixtures("arm")
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_functions(dtype):
    checks.assert_functions_are_accurate(dtype)


@pytest.mark.usefixtures("arm")
@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float32, 1.2e-7), (torch.float64, 3e-16)], ids=str)
def test_sigmoid_is_accurate_to_rounding(dtype, tolerance):
    checks.assert_sigmoid_is_accurate(dtype, tolerance)


@pytest.mark.usefixtures("arm")
@pytest.mark.parametrize("bits", [0x7FC00000, 0xFFC00000, 0x7F800001, 0x7FFFFFFF], ids=hex)
@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_every_nan_stays(dtype, bits):
    checks.assert_nan_stays(dtype, bits)


@pytest.mark.usefixtures("arm", "poisoned")
@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize(
    "geometry",
    [
        Geometry((3, 40, 9, 7), 70, 3, 2, 1),
        Geometry((5, 32, 4, 4), 64, 3, 1, 1),
        Geometry((1, 3, 5, 6), 33, 5, 1, 2),
        Geometry((1, 4, 3, 600), 8, 3, 1, 1),
    ],
)
def test_convolutions_of_spikes(geometry, dtype):
    checks.assert_convolves(geometry, dtype=dtype, spike=1.25)


@pytest.mark.usefixtures("arm")
@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("size", [1, 63, 64, 65, 40_001])
def test_spikes_as_bits(size, dtype):
    x = (torch.rand(size) < 0.3).to(dtype) * 1.5
    packed = pack(x)
    assert packed.spikes == int((x != 0).sum())
    assert torch.equal(unpack(packed), x)
    assert not isinstance(pack(torch.arange(size + 3).to(dtype)), Packed)
