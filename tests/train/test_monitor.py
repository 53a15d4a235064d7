"""Measurements besides the loss."""

import math

import pytest
import torch

from clif.train.monitor import GradientNorms


def test_norms_that_are_not_finite_do_not_count():
    norms = GradientNorms(torch.device("cpu"))
    for value in (2.0, math.inf, math.nan, 4.0):
        norms.add(torch.tensor(value))
    assert norms.row() == {"train_grad_norm_mean": 3.0, "train_grad_norm_max": 4.0}


@pytest.mark.parametrize("value", [math.inf, math.nan])
def test_an_epoch_without_a_finite_norm_has_finite_figures(value):
    norms = GradientNorms(torch.device("cpu"))
    norms.add(torch.tensor(value))
    assert norms.row() == {"train_grad_norm_mean": 0.0, "train_grad_norm_max": 0.0}
