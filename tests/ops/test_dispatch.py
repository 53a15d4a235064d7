"""The choice of the backend, and the errors if it cannot run."""

import warnings

import pytest
import torch

import clif
from clif import functional
from clif.errors import InputError
from clif.ops import cpu, dispatch
from clif.surrogate import Rectangle

compiled = pytest.mark.skipif(cpu.unavailable() is not None, reason=cpu.DESCRIPTION)


class Steeper(Rectangle):
    """A surrogate of the user's."""

    def derivative(self, x):
        return super().derivative(x) * 1.5


class Unknown(Rectangle):
    """A surrogate whose derivative is not an element-wise operation."""

    def derivative(self, x):
        return super().derivative(x) * x.shape[0]


def heaviside(x):
    return (x >= 0).to(x.dtype)


@pytest.fixture
def no_kernels(monkeypatch):
    """A machine without compiled kernels."""
    monkeypatch.setattr(cpu, "_LIBRARY", None)
    monkeypatch.setattr(cpu, "DESCRIPTION", "the kernels were not compiled")
    monkeypatch.setattr(dispatch, "_warned", set())


@compiled
@pytest.mark.parametrize(
    ("dtype", "surrogate_function", "expected"),
    [
        (torch.float32, Rectangle(), "cpu"),
        (torch.bfloat16, Rectangle(), "cpu"),
        (torch.float64, Rectangle(), "cpu"),
        (torch.float16, Rectangle(), "torch"),
        (torch.float32, Steeper(), "cpu"),
        (torch.float32, Unknown(), "torch"),
        (torch.float32, heaviside, "torch"),
    ],
)
def test_auto_chooses(dtype, surrogate_function, expected):
    x_seq = torch.randn(3, 2, 5).to(dtype)
    name, reason = clif.backend_for(clif.CLIFNode(step_mode="m", surrogate_function=surrogate_function), x_seq)
    assert name == expected
    assert (reason == "") == (expected == "cpu")
    spikes, _ = functional.clif_multi_step(x_seq, surrogate_function=surrogate_function)
    assert spikes.dtype == dtype


@compiled
@pytest.mark.parametrize(
    ("x_seq", "surrogate_function", "message"),
    [
        (torch.zeros(3, 2, dtype=torch.float16), Rectangle(), "float16.*float32, bfloat16 and float64"),
        (torch.zeros(3, 2), Unknown(), "a kernel has no tensor.shape"),
        (torch.zeros(3, 2), heaviside, "the surrogate is not from clif.surrogate"),
        (torch.zeros(3, 2, device="meta"), Rectangle(), "on meta"),
    ],
)
def test_by_name_works_or_raises(x_seq, surrogate_function, message):
    with pytest.raises(InputError, match=message):
        functional.clif_multi_step(x_seq, surrogate_function=surrogate_function, backend="cpu")


def test_unknown_backend():
    with pytest.raises(InputError, match="unknown backend 'cuda'"):
        clif.CLIFNode(backend="cuda")


def test_backends_say_what_they_are():
    available = clif.backends()
    assert available["torch"].available
    assert available["cpu"].available == (cpu.unavailable() is None)
    assert list(available) == ["cpu", "triton", "torch"]
    assert all(entry.detail for entry in available.values())


@pytest.mark.usefixtures("no_kernels")
def test_without_kernels_auto_falls_back_and_says_so_once():
    x_seq = torch.randn(3, 2, 5)
    with pytest.warns(RuntimeWarning, match=r"plain PyTorch.*not compiled"):
        spikes, _ = functional.clif_multi_step(x_seq)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        functional.clif_multi_step(x_seq)
    assert torch.equal(spikes, functional.clif_multi_step(x_seq, backend="torch")[0])


@pytest.mark.usefixtures("no_kernels")
def test_without_kernels_the_name_is_refused():
    assert clif.backends()["cpu"] == (False, "the kernels were not compiled")
    for use in (lambda: clif.CLIFNode(backend="cpu"), lambda: clif.set_backend(torch.nn.Sequential(), "cpu")):
        with pytest.raises(InputError, match="backend 'cpu' cannot run here: the kernels were not compiled"):
            use()


@compiled
def test_switching_backends_changes_no_key_and_no_spike():
    nodes = {name: clif.CLIFNode(step_mode="m", backend=name) for name in ("torch", "cpu", "auto")}
    x_seq = torch.randn(6, 4, 33)
    spikes = {name: node(x_seq) for name, node in nodes.items()}
    assert len({tuple(node.state_dict()) for node in nodes.values()}) == 1
    assert torch.equal(spikes["torch"], spikes["cpu"])
    assert torch.equal(spikes["auto"], spikes["cpu"])


def test_store_v_seq():
    node = clif.CLIFNode(step_mode="m", store_v_seq=True)
    x_seq = torch.randn(6, 4, 5)
    spikes = node(x_seq)
    assert torch.equal(node.v_seq[-1], node.v)
    assert torch.equal(spikes, functional.clif_multi_step(x_seq)[0])
    with pytest.raises(InputError, match="store_v_seq"):
        clif.CLIFNode(step_mode="m", store_v_seq=True, backend="cpu")(x_seq)
