"""The graph and the energy of networks with these layers: each layer is counted or refused, none is left out."""

import pytest
from torch import nn

import clif
from clif import layers
from clif.deploy.graph import layer_graph
from clif.energy.layers import weight_layers
from clif.errors import InputError


class Net(clif.models.SpikingNetwork):
    def __init__(self, *parts):
        super().__init__(T=2, in_channels=1, image_size=4, any_size=False)
        self.layers = nn.Sequential(*parts)
        clif.set_step_mode(self, "m")

    def logits(self, x):
        return self.layers(x)


def test_linear_layers_behind_a_max_pool_are_counted_as_torchs_are():
    counted = []
    for kind in (layers.Linear, nn.Linear):
        features = [layers.MaxPool2d(2), layers.Flatten(), kind(4, 8), clif.LIFNode()]
        counted.append(weight_layers(Net(*features, kind(8, 3), layers.LeakyIntegrator())))
    assert [layer.macs for layer in counted[0]] == [32, 24]
    assert counted[0] == counted[1]
    assert counted[0][1].fed_by == ("layers.3",)


def test_containers_and_other_convolutions_are_refused():
    recurrent = layers.Recurrent(clif.LIFNode(), layers.Linear(16, 16))
    with pytest.raises(InputError, match=r"the layers inside layers\.1, a Recurrent, cannot be traced"):
        layer_graph(Net(layers.Flatten(), recurrent))
    rows = Net(layers.TimeDistributed(nn.Flatten(1, 2)))
    with pytest.raises(InputError, match="a TimeDistributed, cannot be traced"):
        layer_graph(rows)

    class Pairs(Net):
        def logits(self, x):
            return self.layers[0](x.flatten(-3), x.flatten(-3))

    with pytest.raises(InputError, match=r"the operations of layers\.0, a Bilinear, cannot be counted"):
        weight_layers(Pairs(nn.Bilinear(16, 16, 3)))


@pytest.mark.parametrize("between", [nn.Sigmoid(), nn.PReLU(), layers.LeakyIntegrator()])
def test_values_that_are_no_spikes_are_not_counted_as_such(between):
    *_, last = weight_layers(Net(layers.Flatten(), nn.Linear(16, 8), clif.LIFNode(), between, nn.Linear(8, 3)))
    assert (last.levels, last.fed_by, last.static) == (None, (), False)
