"""The operator of generated neurons: random equations compared with autograd, in every layout and transform."""

import io

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from programs import SHAPES, inputs, loop, two_states
from torch.func import grad, vmap

from clif.errors import InputError
from clif.generate.compiler import CompilerError, find
from clif.ops import cpu, isa, neuron


def _unavailable() -> str | None:
    try:
        find()
    except CompilerError as error:
        return str(error)
    return cpu.unavailable()


pytestmark = pytest.mark.skipif(_unavailable() is not None, reason=str(_unavailable()))


def agree(program, shape, layout, rests, keep_state):
    """Assert that the kernels' spikes, last states and gradients are those of autograd, in float64."""
    x, states, coefficients = inputs(shape, layout, rests)
    constants = [0.4]
    leaves = [x, *(s for s in states if s.requires_grad), *coefficients]
    spikes, last = loop(program, x, states, coefficients, constants)
    found, extra = neuron.run(x, states, coefficients, [], 0.0, program.text, constants, keep_state)
    assert torch.equal(found, spikes)
    outputs, others = ([spikes, *last], [found, *extra]) if keep_state else ([spikes], [found])
    incoming = [torch.randn_like(output) for output in outputs]
    wanted = torch.autograd.grad(outputs, leaves, incoming, materialize_grads=True)
    gradients = torch.autograd.grad(others, leaves, incoming, materialize_grads=True)
    for got, want in zip([*others, *gradients], [*outputs, *wanted], strict=True):
        torch.testing.assert_close(got, want, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize(("shape", "layout"), SHAPES)
@pytest.mark.parametrize("rests", [True, False])
@pytest.mark.parametrize("keep_state", [True, False])
def test_layouts(shape, layout, rests, keep_state):
    agree(two_states([2, 0, 1, 4, 6, 3, 0, 7, 2, 1, 8, 4]), shape, layout, rests, keep_state)


@pytest.mark.slow
@settings(max_examples=12, deadline=None, derandomize=True)
@given(st.lists(st.integers(0, 29), min_size=6, max_size=24), st.sampled_from(SHAPES), st.booleans())
def test_random_equations(choices, shape, keep_state):
    program = two_states(choices)
    for rests in (True, False):
        agree(program, *shape, rests, keep_state)


@pytest.mark.parametrize("name", isa.available())
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_every_instruction_set_fires_the_same_spikes(name, dtype):
    program = two_states([2, 0, 1, 0, 6, 3])
    x, states, coefficients = inputs((3, 2, 5, 6, 4), "channels_last", True, torch.float32)
    spikes, _ = loop(program, x.detach().to(dtype).float(), states, coefficients, [0.4])
    with isa.using(name):
        x = x.detach().to(dtype).requires_grad_()
        found, _ = neuron.run(x, states, coefficients, [], 0.0, program.text, [0.4], False)
        found.float().sum().backward()
    assert found.dtype == dtype
    assert torch.equal(found.float(), spikes)
    assert x.grad.isfinite().all()


def test_a_batch_norm_in_front():
    program = two_states([2, 0, 1, 0, 6, 3])
    x, states, coefficients = inputs((3, 4, 5, 6, 4), "channels_last", True)
    weight, bias = (torch.rand(5, dtype=torch.float64).requires_grad_() for _ in range(2))
    found, (mean, var) = neuron.run(x, states, coefficients, [weight, bias], 1e-5, program.text, [0.4], False)
    torch.testing.assert_close(mean, x.mean((1, 3, 4)))
    torch.testing.assert_close(var, x.var((1, 3, 4), unbiased=False))
    wide = (slice(None), None, slice(None), None, None)
    normal = (x - x.mean((1, 3, 4))[wide]) / (x.var((1, 3, 4), unbiased=False)[wide] + 1e-5).sqrt()
    spikes, _ = loop(program, normal * weight[:, None, None] + bias[:, None, None], states, coefficients, [0.4])
    assert torch.equal(found, spikes)
    leaves, incoming = [x, weight, bias, *coefficients], torch.randn_like(spikes)
    wanted = torch.autograd.grad(spikes, leaves, incoming, materialize_grads=True)
    for got, want in zip(torch.autograd.grad(found, leaves, incoming), wanted, strict=True):
        torch.testing.assert_close(got, want, rtol=1e-9, atol=1e-9)


PROGRAM = two_states([2, 0, 1, 4, 6, 3])


def spikes_of(x, layer, channel):
    states = [torch.zeros((), dtype=x.dtype).expand(x.shape[1:]) for _ in range(2)]
    return neuron.run(x, states, [layer, channel], [], 0.0, PROGRAM.text, [0.4], False)[0]


def test_opcheck():
    x, states, coefficients = inputs((3, 2, 5, 4), "contiguous", False, torch.float32)
    arguments = (x, states, coefficients, [], 0.0, PROGRAM.text, [0.4])
    for keep_state in (True, False):
        torch.library.opcheck(neuron.neuron, (*arguments, keep_state))
    incoming = [torch.randn(3, 2, 5, 4), None, torch.randn(2, 5, 4)]
    detached = [[value.detach() for value in values] for values in ([x], states, coefficients)]
    backward = (detached[0][0], detached[1], detached[2], [], 0.0, PROGRAM.text, [0.4], False, incoming, True)
    torch.library.opcheck(neuron.neuron_backward, backward, test_utils=("test_schema", "test_faketensor"))


def test_compiled_exported_and_transformed():
    x, _, coefficients = inputs((3, 2, 5, 4), "contiguous", True, torch.float32)
    plain = torch.autograd.grad(spikes_of(x, *coefficients).sum(), [x, *coefficients])
    compiled = torch.compile(spikes_of, fullgraph=True, backend="aot_eager")
    for got, want in zip(torch.autograd.grad(compiled(x, *coefficients).sum(), [x, *coefficients]), plain, strict=True):
        torch.testing.assert_close(got, want)

    class Layer(torch.nn.Module):
        def forward(self, x, layer, channel):
            return spikes_of(x, layer, channel)

    content = io.BytesIO()
    given = (x.detach(), *(value.detach() for value in coefficients))
    torch.export.save(torch.export.export(Layer(), given), content)
    content.seek(0)
    assert torch.equal(torch.export.load(content).module()(*given), spikes_of(*given))

    batch = torch.randn(6, *x.shape)
    loss = grad(lambda x: (spikes_of(x, *given[1:]) * torch.arange(4.0)).sum())
    assert torch.equal(vmap(loss)(batch), torch.stack([loss(x) for x in batch]))


def test_gradients_of_gradients_are_refused():
    x, _, coefficients = inputs((3, 2, 5, 4), "contiguous", True, torch.float32)
    (dx,) = torch.autograd.grad(spikes_of(x, *coefficients).sum(), x, create_graph=True)
    with pytest.raises(InputError, match="first derivative only"):
        dx.sum().backward()
