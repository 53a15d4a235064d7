"""The contestants of `clif bench neuron`: the same neuron by each backend, by torch.compile and by other packages.

All are made from the neuron's class. The neurons of other packages are in `neuron_peers`.
"""

import functools

from torch import Tensor

import clif
from clif.bench.compiled import compiled
from clif.bench.definition import Contestant, Definition, Factory, Layer, loop, parameters_of
from clif.bench.neuron_peers import FLEXSN, flexsn, peers_of
from clif.ops import dispatch

COMPILED = "torch.compile"


def _ours(backend: str, layer: Layer) -> Contestant:
    definition = Definition(layer.neuron)
    node = definition.node(layer)
    node.backend = dispatch.check_backend(backend)

    def run(x_seq: Tensor) -> Tensor:
        node.reset()
        return node(x_seq)

    plan = None if backend == "torch" else node.equations().plan
    return Contestant(run, definition, parameters_of(node), plan)


def _compiled(layer: Layer) -> Contestant:
    definition = Definition(layer.neuron)
    node = definition.node(layer)
    return Contestant(compiled(functools.partial(loop, node.equations())), definition, parameters_of(node))


def factories(neuron: str, device: str = "cpu") -> dict[str, Factory]:
    """All contestants by name for a registered neuron on a type of device."""
    ours: dict[str, Factory] = {name: functools.partial(_ours, name) for name in clif.backends()}
    return {**ours, COMPILED: _compiled, FLEXSN: flexsn, **peers_of(neuron, device)}
