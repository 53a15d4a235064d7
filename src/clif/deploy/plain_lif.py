"""A CLIF network as a LIF network with the same weights and one reset for all layers."""

from clif.deploy.fold import Network
from clif.errors import InputError
from clif.names import CONVERTED
from clif.neurons import LIFNode, PLIFNode, SpikingNeuron, reset_net
from clif.neurons.exchange import description_of, forget_layer_options, node_like, replace_nodes
from clif.private_torch import hand_over_hooks
from clif.sequence_layers import detached_copy


def plain_lif(net: Network, v_reset: float | None = None) -> Network:
    """A copy of `net` at rest whose neurons are LIF, with a soft reset (None) or a hard reset to `v_reset`.

    A CLIF neuron that fires is reset by more than its threshold; a hard reset slightly below 0 compensates for this
    (the paper's Table 8, where −0.06 is best for CIFAR-10). The copy keeps weights, hooks, τ, dtype, device, training
    and step mode; `net` does not change. `net` may also be a LIF network, which loses the resets of single layers.
    Raises `InputError` for all other neurons, and for networks without neurons to convert.
    """
    lif: Network = detached_copy(net)
    if any(isinstance(module, PLIFNode) for module in lif.modules()):
        raise InputError("a PLIF network is a LIF network with learnt time constants; there is nothing to convert")
    for name, module in lif.named_modules():
        if isinstance(module, SpikingNeuron) and module.neuron not in CONVERTED:
            raise InputError(
                f"{name} is a {type(module).__name__}; only {' and '.join(CONVERTED)} become LIF with the same weights"
            )

    def make(node: SpikingNeuron) -> SpikingNeuron:
        new = node_like(node, LIFNode, v_reset=v_reset)
        hand_over_hooks(node, new)
        return new

    if not replace_nodes(lif, make):
        raise InputError(f"{type(net).__name__} has no CLIF or LIF neuron to convert")
    if (config := description_of(lif)) is not None:
        config.update(neuron="LIF", v_reset=v_reset)
        config.pop("v_subtract", None)
        forget_layer_options(config, lambda name: name not in ("v_reset", "v_subtract"))
    reset_net(lif)
    return lif
