"""Switches of a step: branches in PyTorch, constants in a program, so that different layers share kernels.

`x` is a tensor, or its stand-in while a step is traced.
"""

from typing import Any

from torch import Tensor


def detach_if(condition: bool, x: Any) -> Any:
    """`x`, without its gradient if `condition`."""
    if isinstance(x, Tensor):
        return x.detach() if condition else x
    return x.detach_if(condition)


def scale_if(condition: bool, x: Any, factor: Any) -> Any:
    """`x`, times `factor` if `condition`."""
    if isinstance(x, Tensor):
        return x * factor if condition else x
    return x.scale_if(condition, factor)
