"""Layers that take one step [N, *] as well as a sequence [T, N, *].

Convolutions, pools, linear layers and batch norms keep torch's names and parameters, so state dicts match those of
plain networks. A sequence is folded to [T·N, *] for the computation. A static image is an expanded sequence (stride 0
along T, see `repeat_image`), which stateless layers compute once.

`BatchNorm1d` and `TimeDistributed` cannot tell a step from a sequence by its number of axes. They and the layers with a
state use `step_mode` (`clif.set_step_mode`).
"""

from clif.layers.distributed import TimeDistributed
from clif.layers.dropout import Dropout, key_dropout
from clif.layers.integrator import LeakyIntegrator
from clif.layers.norm import BatchNorm1d, BatchNorm2d
from clif.layers.recurrent import ElementWiseRecurrentContainer, LinearRecurrentContainer, Recurrent
from clif.layers.remembering import Remembering
from clif.layers.stateless import AdaptiveAvgPool2d, AvgPool2d, Conv1d, Conv2d, Flatten, Linear, MaxPool2d
from clif.layers.step import StepModule, check_step_mode, fold, has_hooks, is_repeated, repeat_image

__all__ = [
    "AdaptiveAvgPool2d",
    "AvgPool2d",
    "BatchNorm1d",
    "BatchNorm2d",
    "Conv1d",
    "Conv2d",
    "Dropout",
    "ElementWiseRecurrentContainer",
    "Flatten",
    "LeakyIntegrator",
    "Linear",
    "LinearRecurrentContainer",
    "MaxPool2d",
    "Recurrent",
    "Remembering",
    "StepModule",
    "TimeDistributed",
    "check_step_mode",
    "fold",
    "has_hooks",
    "is_repeated",
    "key_dropout",
    "repeat_image",
]
