"""Random numbers keyed by sample: well distributed, and independent of the grouping of the samples."""

import pytest
import torch

from clif.layers import Dropout, key_dropout
from clif.random import derive_keys, epoch_seed, keyed_mask, sample_keys


@pytest.mark.parametrize("p", [0.1, 0.5, 0.9])
def test_a_mask_drops_its_share_everywhere(p):
    mask = keyed_mask(sample_keys(1, 2, torch.arange(200)), torch.Size([200, 3, 7, 11]), p).double()
    assert mask.mean() == pytest.approx(p, abs=0.01)
    deviation = (p * (1 - p)) ** 0.5
    assert (mask.mean((1, 2, 3)) - p).abs().max() < 5 * deviation / (3 * 7 * 11) ** 0.5
    assert (mask.mean(0) - p).abs().max() < 5 * deviation / 200**0.5
    flat = mask.flatten(1) - p
    neighbours = (flat[:, 1:] * flat[:, :-1]).mean(), (flat[1:] * flat[:-1]).mean()
    assert all(abs(value) < 0.01 for value in neighbours)


def test_a_sample_s_mask_does_not_depend_on_its_batch():
    keys = sample_keys(7, 0, torch.arange(40))
    whole = keyed_mask(keys, torch.Size([40, 501]), 0.3)
    parts = [keyed_mask(part, torch.Size([len(part), 501]), 0.3) for part in keys.split(7)]
    assert torch.equal(torch.cat(parts), whole)


def test_keys_differ_by_seed_epoch_sample_and_use():
    index = torch.arange(1000)
    keys = [sample_keys(1, 0, index), sample_keys(2, 0, index), sample_keys(1, 1, index)]
    keys += [derive_keys(keys[0], number) for number in range(3)]
    assert len(set(torch.cat(keys).tolist())) == 6000
    assert epoch_seed(1, 0) != epoch_seed(0, 1)


@pytest.mark.parametrize("memory_format", [torch.contiguous_format, torch.channels_last])
def test_keyed_dropout_keeps_one_mask_for_all_steps_and_modes(memory_format):
    dropout = Dropout(0.4, step_mode="m")
    net = torch.nn.Sequential(dropout, Dropout(0.4, step_mode="m"))
    key_dropout(net, sample_keys(0, 0, torch.arange(5)))
    x = torch.ones(5, 4, 6, 6).to(memory_format=memory_format)
    sequence = dropout(x.expand(3, *x.shape))
    assert torch.equal(sequence[0], sequence[2])
    assert sequence.unique().tolist() == [0, pytest.approx(1 / 0.6)]
    dropout.step_mode = "s"
    assert torch.equal(dropout(x), sequence[0])
    assert not torch.equal(net[1](x[None])[0], sequence[0])
    key_dropout(net, None)
    dropout.reset()
    assert not torch.equal(dropout(x), sequence[0])
