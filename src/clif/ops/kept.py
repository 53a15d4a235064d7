"""The values that a layer keeps between calls: their shape, whether autograd can use them, and their memory."""

import torch
from torch import Tensor

from clif import private_torch
from clif.errors import InputError
from clif.ops.registration import is_observed, is_plain


def likely_cause(kept: Tensor, x: Tensor) -> str:
    """Why a value kept from the previous call does not fit the input `x` [N, *], and what to do."""
    reset = "reset before a new batch: clif.reset_net(net), node.reset() or state=None"
    if kept.device != x.device or kept.shape[1:] == x.shape[1:]:
        return reset
    return f"is one object used in two layers? Each layer needs its own. Or the input changed: {reset}"


def usable(kept: Tensor) -> Tensor:
    """`kept`, or a copy that autograd can save if `kept` comes from `torch.inference_mode`.

    Raises `InputError` for a batch that a call under `torch.vmap` has left.
    """
    if torch.compiler.is_compiling():
        return kept
    if private_torch.is_batched(kept) and not private_torch.transforms_are_active():
        raise InputError(
            "the state was kept from a call under torch.vmap, outside of which it has no values; call "
            "clif.reset_net(net) after that call"
        )
    if not kept.is_inference() or torch.is_inference_mode_enabled():
        return kept
    return kept.clone()


def apart(kept: Tensor, *others: Tensor) -> Tensor:
    """`kept`, or a copy if it shares memory with one of the `others`, which may change in place."""
    if is_observed():
        return kept.clone() if any(kept is other for other in others) else kept
    return kept.clone() if _place(kept) in map(_place, others) else kept


def _place(value: Tensor) -> int:
    """The address of a tensor's memory, or of the object if the memory cannot be read."""
    return value.untyped_storage().data_ptr() if is_plain(value) else id(value)
