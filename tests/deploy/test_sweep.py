"""The sweep of the reset value."""

import copy

import pytest
import torch
from torch.testing import assert_close

from clif.data import create_loader
from clif.deploy import PAPER_RESETS, SweepRow, best_row, clif_to_lif, sweep
from clif.models.network import predict


@pytest.fixture
def loader():
    return create_loader("digits", train=False, batch_size=16, limit=40)


@torch.no_grad()
def test_a_row_has_the_accuracy_of_the_converted_network(firing_network, loader):
    net = firing_network().eval()
    resets = [None, 0.0, -0.3]
    rows = sweep(net, loader, resets)
    assert [row.v_reset for row in rows] == resets
    for row in rows:
        lif = clif_to_lif(net, row.v_reset)
        hits = sum((predict(lif(images)) == labels).sum().item() for images, labels in loader)
        assert (row.top1, row.samples) == (pytest.approx(hits / 40), 40)
        assert row.top1 <= row.top5 <= 1


def test_the_paper_s_values_are_the_default(firing_network, loader):
    rows = sweep(firing_network(T=1), loader)
    assert [row.v_reset for row in rows] == [None, 0, -0.02, -0.04, -0.06, -0.08, -0.1] == list(PAPER_RESETS)


def test_the_network_is_left_alone(firing_network, loader):
    net = firing_network().train()
    before = copy.deepcopy(net.state_dict())
    sweep(net, loader, [None, -0.06])
    assert net.training
    assert_close(net.state_dict(), before, rtol=0, atol=0)


def test_no_values_give_no_rows(firing_network, loader):
    assert sweep(firing_network(), loader, []) == []


def test_the_best_row_is_the_first_of_the_highest_top_1():
    rows = [SweepRow(v, top1, 1.0, 10) for v, top1 in [(None, 0.2), (0.0, 0.5), (-0.02, 0.5), (-0.04, 0.4)]]
    assert best_row(rows).v_reset == 0.0
