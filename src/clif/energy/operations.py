"""The operations of layers without weights: of neurons per step, and of other layers per value."""

from typing import NamedTuple

from torch import nn

from clif.deploy.graph import layer_of
from clif.energy.layers import NORMS, Followed
from clif.errors import InputError
from clif.generate.lower import is_uniform, lower
from clif.generate.program import needed, parse
from clif.layers import LeakyIntegrator
from clif.neurons import SpikingNeuron
from clif.sequence_layers import ELEMENTWISE

SUMS, FREE = ("add", "sub"), ("neg", "abs", "lt", "le", "eq", "and", "or", "not", "where", "maximum", "minimum")
COMPARING = (nn.ReLU, nn.ReLU6, nn.Hardtanh)


class Operations(NamedTuple):
    """The operations of one neuron per step: multiply-accumulates, accumulations, states read and written."""

    macs: float
    acs: float
    states: int


def operations_of(node: nn.Module) -> Operations:
    """The operations of a neuron per step.

    A class can set them by `macs_per_step`, as LIF (2) and CLIF (6) do with the paper's counts. Otherwise they are
    counted in the traced step: each product, quotient and function is a multiply-accumulate, the remaining sums are
    accumulations, and comparisons, choices and products with 1 are free. A ReLU costs nothing.

    Raises `InputError` for a neuron of neither kind.

    >>> clif.energy.operations_of(clif.CLIFNode())
    Operations(macs=6.0, acs=0.0, states=2)
    """
    if not isinstance(node, SpikingNeuron):
        return Operations(0.0, 0.0, 0)
    states = len(node.state_names)
    if node.macs_per_step is not None:
        return Operations(float(node.macs_per_step), 0.0, states)
    plan = node.equations().plan
    if plan.trace is None:
        raise InputError(
            f"the operations of {type(node).__name__} cannot be counted ({plan.refusal}); set the class attribute "
            "macs_per_step"
        )
    step = lower(parse(plan.text))["Any"].forward
    computed = [step.nodes[i] for i in needed(step.nodes, step.results.values()) if not is_uniform(step.nodes, i)]
    ones = {
        i for i, node in enumerate(step.nodes) if node.operation == "constant" and plan.constants[int(node.value)] == 1
    }
    names = [
        node.operation
        for node in computed
        if node.arguments and not (node.operation == "mul" and ones & {*node.arguments})
    ]
    macs = sum(name not in (*SUMS, *FREE) for name in names)
    return Operations(float(macs), float(max(0, sum(name in SUMS for name in names) - macs)), states)


class Elementwise(NamedTuple):
    """A layer that computes value by value: its kind, values of one sample, operations per value."""

    kind: str
    size: int
    cost: Operations


def elementwise_layers(followed: Followed) -> dict[str, Elementwise]:
    """The layers beside weights and neurons that cost operations, by name.

    A group or layer norm costs two multiplications and an accumulation a value (mean, variance, scale), an activation
    other than a comparison (ReLU) one multiplication, a `LeakyIntegrator` one and a state. Batch norms fold into
    weights, pools into connections.
    """
    graph, shapes = followed
    found = {}
    for node in graph.graph.nodes:
        layer = layer_of(graph, node)
        if isinstance(layer, nn.PReLU) or (isinstance(layer, ELEMENTWISE) and not isinstance(layer, COMPARING)):
            cost = Operations(1.0, 0.0, 0)
        elif isinstance(layer, NORMS):
            cost = Operations(2.0, 1.0, 0)
        elif isinstance(layer, LeakyIntegrator):
            cost = Operations(1.0, 0.0, 1)
        else:
            continue
        found[str(node.target)] = Elementwise(type(layer).__name__, shapes[node].numel(), cost)
    return found
