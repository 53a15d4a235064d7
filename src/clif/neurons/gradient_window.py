"""Back-propagation through time truncated to k steps, as in Table 3 of the CLIF paper.

A neuron's spike at step t depends on its inputs at t, t − 1, … through the membrane (and complementary) potential. Here
the gradient of the spike at t reaches the inputs t − k + 1 … t of the same neuron and no earlier one: a window that
slides with t. k = 1 leaves the gradient through space only, k ≥ T is the whole back-propagation. Spikes are unchanged.
"""

import warnings
from collections.abc import Callable

import torch
from torch import Tensor, nn

from clif.errors import InputError
from clif.layers import StepModule
from clif.ops.equations import OneStep, State, stack_steps

Sequence = Callable[[Tensor, State], tuple[Tensor, State]]
"""x_seq [T, N, *] and the state [N, *] before it -> the spikes [T, N, *] and the state after it."""


def truncated_by_sequences(multi_step: Sequence, x_seq: Tensor, state: State, window: int) -> tuple[Tensor, State]:
    """A sequence x_seq [T, N, *] from `state` [N, *]: spikes [T, N, *] and the last state, for window < T.

    Their gradients reach over `window` steps. `multi_step` computes every element of the batch for itself. It takes all
    T − window + 1 windows as one batch, each from the state before it, without the gradient of that state except for
    the first. The first window has the spikes of its steps, every other one that of its last step.
    """
    N, windows = x_seq.shape[1], len(x_seq) - window + 1
    before = [state]
    with torch.no_grad():
        for t in range(windows - 1):
            before.append(multi_step(x_seq[t : t + 1], before[-1])[1])
    starts = tuple(torch.cat(parts) for parts in zip(*before, strict=True))
    inputs = stack_steps([x_seq[t : t + windows].flatten(0, 1) for t in range(window)])
    spikes, last = multi_step(inputs, starts)
    spikes = spikes.unflatten(1, (windows, N))
    spike_seq = stack_steps([*spikes[:, 0].unbind(0), *spikes[-1, 1:].unbind(0)])
    return spike_seq, tuple(part.unflatten(0, (windows, N))[-1].clone() for part in last)


def truncated_by_steps(
    step: OneStep, x_seq: Tensor, state: State, window: int, element_wise: bool
) -> tuple[Tensor, State]:
    """A sequence x_seq [T, N, *] from `state` [N, *]: spikes and the states after each step, both [T, N, *].

    Their gradients reach over `window` steps.

    The spike of every t is computed from the state before its window, without gradient, by the window's own steps; the
    windows of all t run side by side, as one step of [T, N, *] if `step` is element-wise.
    """
    side_by_side = step if element_wise else _one_by_one(step)
    T = len(x_seq)
    window = min(window, T)
    before = [state]
    with torch.no_grad():
        for x in x_seq[: T - window]:
            before.append(step(x, before[-1])[1])
    starts = [before[max(t - window + 1, 0)] for t in range(T)]
    carried: State = tuple(torch.stack(parts) for parts in zip(*starts, strict=True))
    spike_seq = x_seq
    for waiting in reversed(range(window)):
        states = tuple(part[waiting:] for part in carried)
        spike_seq, states = side_by_side(x_seq[: T - waiting], states)
        carried = tuple(torch.cat([part[:waiting], new]) for part, new in zip(carried, states, strict=True))
    return spike_seq, carried


def _one_by_one(step: OneStep) -> OneStep:
    def side_by_side(x_seq: Tensor, states: State) -> tuple[Tensor, State]:
        results = [step(x, tuple(before)) for x, *before in zip(x_seq, *states, strict=True)]
        spikes, after = zip(*results, strict=True)
        return torch.stack(spikes), tuple(torch.stack(parts) for parts in zip(*after, strict=True))

    return side_by_side


def check_window(window: int) -> int:
    """`window` itself. Raises `InputError` unless it is a whole number of at least 1."""
    if not isinstance(window, int) or window < 1:
        raise InputError(f"the gradient can be truncated to a whole number of at least 1 time step, got {window!r}")
    return window


def set_gradient_window(net: nn.Module, window: int | None) -> None:
    """Truncate the gradient through each neuron of `net` to `window` ≥ 1 steps in multi-step mode; None: no truncation.

    >>> node = clif.CLIFNode(step_mode="m")
    >>> clif.neurons.set_gradient_window(node, 1)  # no gradient through time
    """
    if window is not None:
        check_window(window)
    for module in net.modules():
        if isinstance(module, StepModule) and hasattr(module, "gradient_window"):
            module.gradient_window = window  # type: ignore[assignment]


def set_tbptt(net: nn.Module, window: int | None) -> None:
    """Deprecated name of `set_gradient_window`; it warns."""
    warnings.warn(
        "set_tbptt is now set_gradient_window (what is usually called truncated BPTT is clif.detach_net every k steps)",
        FutureWarning,
        stacklevel=2,
    )
    set_gradient_window(net, window)
