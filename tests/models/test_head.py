"""The last layer of a network whose weights come from a training with other classes."""

import pytest
import torch
from torch import nn

from clif.models.head import keep_head


def layers(*sizes):
    return nn.Sequential(nn.Linear(4, sizes[0]), nn.BatchNorm1d(sizes[0]), nn.Linear(sizes[0], sizes[1])).state_dict()


def test_a_last_layer_with_other_outputs_is_kept():
    weights, own = layers(5, 10), layers(5, 3)
    found, key = keep_head(weights, own)
    assert key == "2.weight"
    assert all(found[key] is (own if key.startswith("2.") else weights)[key] for key in own)


def test_a_last_layer_without_bias_is_kept():
    weights, own = nn.Linear(4, 10, bias=False).state_dict(), nn.Linear(4, 3, bias=False).state_dict()
    assert keep_head(weights, own)[1] == "weight"


@pytest.mark.parametrize(
    ("weights", "own"),
    [
        (layers(5, 10), layers(5, 10)),
        (layers(5, 10), layers(6, 10)),
        (layers(5, 10), layers(6, 3)),
        (nn.Linear(4, 10).state_dict(), nn.Linear(5, 3).state_dict()),
        ({"act.w": torch.zeros(())}, {"act.w": torch.zeros(3)}),
        ({"act.w": torch.zeros(2)}, {"act.w": torch.zeros(3)}),
    ],
)
def test_other_differences_leave_the_weights_as_they_are(weights, own):
    assert keep_head(weights, own) == (weights, None)
