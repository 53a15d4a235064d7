"""Checks of the values that a layer keeps between calls: their shape, and whether autograd can use them."""

import torch
from torch import Tensor


def likely_cause(kept: Tensor, x: Tensor) -> str:
    """Why a value kept from the previous call does not fit the input `x` [N, *], and what to do."""
    reset = "reset before a new batch: clif.reset_net(net), node.reset() or state=None"
    if kept.device != x.device or kept.shape[1:] == x.shape[1:]:
        return reset
    return f"is one object used in two layers? Each layer needs its own. Or the input changed: {reset}"


def outside_inference(kept: Tensor) -> Tensor:
    """`kept`, or a copy that autograd can save if `kept` comes from `torch.inference_mode`."""
    if torch.compiler.is_compiling() or not kept.is_inference() or torch.is_inference_mode_enabled():
        return kept
    return kept.clone()
