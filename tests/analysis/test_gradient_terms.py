import pytest
import torch

import clif
from clif import analysis
from clif.errors import InputError
from clif.neurons.registry import NEURONS, spiking_neuron

SPIKING = [name for name in NEURONS if name != "ReLU"]
OPTIONS = [
    {},
    {"detach_reset": True},
    {"v_reset": -0.1},
    {"v_reset": 0.0, "detach_reset": True, "decay_input": True, "tau": 3.0},
    {"surrogate_function": "atan", "tau": 1.5, "v_threshold": 0.8},
]


def drawn(T=6, seed=0):
    """Inputs and gradients of spikes [T, 5, 3] in float64."""
    generator = torch.Generator().manual_seed(seed)
    x_seq, grad_seq = (torch.randn(T, 5, 3, generator=generator, dtype=torch.float64) for _ in range(2))
    return x_seq + 0.7, grad_seq


def node_of(name, **options):
    kind = spiking_neuron(name)
    return kind(**({"channels": 3} if name == "GLIF" else {}), **options).double()


@pytest.mark.parametrize("name", SPIKING)
def test_the_terms_add_up_to_autograd_s_gradient(name):
    x_seq, grad_seq = drawn()
    x_seq.requires_grad_()
    node = node_of(name, step_mode="m", backend="torch")
    (expected,) = torch.autograd.grad(node(x_seq), x_seq, grad_seq)
    node.reset()
    terms = analysis.gradient_terms(node, x_seq, grad_seq)
    assert terms.shape == (6, 6, 5, 3)
    torch.testing.assert_close(terms.sum(1), expected, rtol=1e-12, atol=1e-12)
    assert expected.abs().max() > 0
    assert not terms.requires_grad


@pytest.mark.parametrize("options", OPTIONS, ids=str)
@pytest.mark.parametrize("name", ["LIF", "CLIF"])
def test_the_terms_are_those_of_the_formulas(name, options):
    x_seq, grad_seq = drawn()
    node = node_of(name, **options)
    for membrane_only in (False, True):
        found, formula = (
            terms(node, x_seq, grad_seq, membrane_only=membrane_only)
            for terms in (analysis.gradient_terms, analysis.closed_form_terms)
        )
        torch.testing.assert_close(found, formula, rtol=1e-12, atol=1e-12)
        assert formula.count_nonzero() > 0


def test_a_subtraction_of_its_own_is_in_the_formula():
    x_seq, grad_seq = drawn()
    node = clif.LIFNode(v_subtract=1.7)
    torch.testing.assert_close(
        analysis.closed_form_terms(node, x_seq, grad_seq), analysis.gradient_terms(node, x_seq, grad_seq)
    )


def test_the_formula_of_lif_is_a_product_of_epsilons():
    """C[t, t'] = g[t']·h[t']·Π ε, ε = γ·(1 − v_threshold·h), written step by step."""
    x_seq, grad_seq = drawn()
    node = clif.LIFNode(surrogate_function="triangle")
    h, epsilon, v = [], [], torch.zeros(5, 3, dtype=torch.float64)
    for x in x_seq:
        u = v / 2 + x
        h.append((1 - (u - 1).abs()).clamp(min=0))
        epsilon.append(0.5 * (1 - h[-1]))
        v = u - (u >= 1).double()
    terms = analysis.gradient_terms(node, x_seq, grad_seq)
    expected = grad_seq[4] * h[4] * epsilon[3] * epsilon[2] * epsilon[1]
    torch.testing.assert_close(terms[1, 4], expected)
    assert terms[4, 1].count_nonzero() == 0


def test_lif_has_no_path_beside_the_membrane_and_clif_has():
    x_seq, grad_seq = drawn()
    for name, beside in (("LIF", False), ("CLIF", True)):
        node = node_of(name)
        whole, membrane = (analysis.gradient_terms(node, x_seq, grad_seq, membrane_only=m) for m in (False, True))
        assert torch.equal(whole, membrane) != beside
        torch.testing.assert_close(whole.diagonal(), membrane.diagonal())
        torch.testing.assert_close(whole.diagonal(1), membrane.diagonal(1))


def smooth(x):
    """A surrogate that is its own forward pass, so that finite differences equal autograd's gradient."""
    return torch.sigmoid(4 * x)


@pytest.mark.parametrize("name", ["LIF", "CLIF", "ALIF", "PLIF"])
def test_a_term_is_the_finite_difference_of_a_smooth_neuron(name):
    x_seq, grad_seq = drawn(T=4)
    node = node_of(name, surrogate_function=smooth)
    terms = analysis.gradient_terms(node, x_seq, grad_seq)
    t, later, eps = 1, 3, 1e-6

    def weighted(shift):
        moved = x_seq.clone()
        moved[t] += shift
        equations = node.equations()
        step, state = equations.one_step(moved[0]), equations.start(moved[0], None)
        for x in moved[: later + 1]:
            spikes, state = step(x, state)
        return (grad_seq[later] * spikes).detach()

    expected = (weighted(eps) - weighted(-eps)) / (2 * eps)
    torch.testing.assert_close(terms[t, later], expected, rtol=1e-6, atol=1e-8)
    assert expected.abs().min() > 0


def test_terms_go_on_from_a_state():
    x_seq, grad_seq = drawn()
    node = clif.CLIFNode().double()
    whole = analysis.gradient_terms(node, x_seq, grad_seq)
    for x in x_seq[:2]:
        node(x)
    torch.testing.assert_close(analysis.gradient_terms(node, x_seq[2:], grad_seq[2:], node.state), whole[2:, 2:])


def test_there_are_formulas_of_two_neurons():
    with pytest.raises(InputError, match="LIFNode and CLIFNode, not for PLIFNode"):
        analysis.closed_form_terms(clif.PLIFNode(), *drawn())


class TwoStates(clif.SpikingNeuron):
    """A neuron of one's own, with a trace that lowers its potential."""

    states = {"v": 0.0, "trace": 0.0}  # noqa: RUF012

    def step(self, x, v, trace):
        u = torch.tanh(0.9 * v + x) * 1.5 - 0.3 * trace
        spike = self.fire(u)
        return spike, self.reset_after(u, spike), 0.8 * trace + spike


def test_a_neuron_of_one_s_own_has_terms():
    x_seq, grad_seq = drawn()
    x_seq.requires_grad_()
    node = TwoStates(step_mode="m", backend="torch", surrogate_function="atan")
    (expected,) = torch.autograd.grad(node(x_seq), x_seq, grad_seq)
    node.reset()
    whole, membrane = (analysis.gradient_terms(node, x_seq, grad_seq, membrane_only=m) for m in (False, True))
    torch.testing.assert_close(whole.sum(1), expected, rtol=1e-12, atol=1e-12)
    assert not torch.equal(whole, membrane)
