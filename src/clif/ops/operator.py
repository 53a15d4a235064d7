"""What turns a pair of fused kernels, forward and backward, into an operator that PyTorch knows.

`create(name, forward, backward)` registers `clif::<name>` with its shapes (fake tensors), gradient and vmap rule
(`registration.py`), so that it works under `torch.compile`, `torch.export`, `torch.func` and activation checkpointing,
and returns the backend's `multi_step`. The kernels see aligned tensors only: every step of a sequence and every state
lies densely in memory in the same order of elements, so that to a kernel a sequence is [T, size] and a state [size].
Channels-last sequences are aligned as they are; so is an input with stride 0 along T (an image that is shown at every
step).

Between forward and backward only the input and the initial state are kept; the kernels recompute the rest.
"""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor

from clif import surrogate
from clif.errors import InputError
from clif.ops.reference import State, SurrogateFunction, compute_dtype
from clif.ops.registration import register

SURROGATE_NAMES = {kind: name for name, kind in surrogate.SURROGATES.items()}


class Dynamics(NamedTuple):
    """The constants of a neuron as the operators take them: plain values, in the order of `DYNAMICS`."""

    neuron: str
    tau: float
    decay_input: bool
    v_threshold: float
    v_reset: float | None
    v_subtract: float
    surrogate: str
    alpha: float
    detach_reset: bool


class Inputs(NamedTuple):
    """Aligned inputs of a kernel: x_seq [T, N, *]; v and m [N, *], or one value expanded; leak = 1/τ, a scalar.

    `m` is None but for CLIF, `leak` but for PLIF (the other neurons have `Dynamics.tau`).
    """

    x_seq: Tensor
    v: Tensor
    m: Tensor | None
    leak: Tensor | None


class Outputs(NamedTuple):
    """What a forward kernel fills: spikes [T, N, *] and the last state [N, *].

    `v` and `m` are empty if they are not wanted, `m` but for CLIF.
    """

    spike_seq: Tensor
    v: Tensor
    m: Tensor


class Gradients(NamedTuple):
    """What a backward kernel fills: the gradient of each input; of a scalar `leak` neuron by neuron, [N, *].

    `v` and `m` are empty if they are not wanted, `m` but for CLIF, `leak` but for PLIF.
    """

    x_seq: Tensor
    v: Tensor
    m: Tensor
    leak: Tensor


class OutputGradients(NamedTuple):
    """Aligned gradients of the outputs, None where nothing arrived."""

    spike_seq: Tensor | None
    v: Tensor | None
    m: Tensor | None


Strides = tuple[int, ...]
ForwardKernel = Callable[[Inputs, Dynamics, Outputs], None]
BackwardKernel = Callable[[Inputs, Dynamics, OutputGradients, Gradients], None]

DYNAMICS = (
    "str neuron, float tau, bool decay_input, float v_threshold, float? v_reset, float v_subtract, "
    "str surrogate, float alpha, bool detach_reset"
)
_INPUTS = "Tensor x_seq, Tensor v, Tensor? m, Tensor? leak"
_FORWARD_SCHEMA = f"({_INPUTS}, bool keep_state, {DYNAMICS}) -> (Tensor, Tensor, Tensor)"
_BACKWARD_SCHEMA = (
    f"({_INPUTS}, Tensor? d_spike_seq, Tensor? d_v, Tensor? d_m, bool for_state, {DYNAMICS})"
    " -> (Tensor, Tensor, Tensor, Tensor)"
)


def create(name: str, forward_kernel: ForwardKernel, backward_kernel: BackwardKernel) -> Callable[..., Any]:
    """Register `clif::<name>` and return its `multi_step`, which has the signature of `reference.multi_step`."""

    def forward(x_seq, v, m, leak, keep_state, *dynamics):
        strides = step_strides(x_seq)
        outputs = empty_outputs(x_seq, strides, m, keep_state)
        forward_kernel(align_inputs(x_seq, strides, v, m, leak), Dynamics(*dynamics), outputs)
        return tuple(outputs)

    def backward(x_seq, v, m, leak, d_spike_seq, d_v, d_m, for_state, *dynamics):
        strides = step_strides(x_seq)
        inputs = align_inputs(x_seq, strides, v, m, leak)
        incoming = align_gradients(strides, d_spike_seq, d_v, d_m)
        gradients = empty_gradients(x_seq, strides, m, leak, for_state)
        backward_kernel(inputs, Dynamics(*dynamics), incoming, gradients)
        return tuple(gradients)

    def fake_forward(x_seq, v, m, leak, keep_state, *dynamics):
        return tuple(empty_outputs(x_seq, step_strides(x_seq), m, keep_state))

    def fake_backward(x_seq, v, m, leak, d_spike_seq, d_v, d_m, for_state, *dynamics):
        return tuple(empty_gradients(x_seq, step_strides(x_seq), m, leak, for_state))

    def setup_context(ctx, inputs, output):
        x_seq, v, m, leak, ctx.keep_state, *ctx.dynamics = inputs
        ctx.save_for_backward(x_seq, v, m, leak)
        ctx.set_materialize_grads(False)

    def differentiate(ctx, d_spike_seq, d_v, d_m):
        x_seq, v, m, leak = ctx.saved_tensors
        d_v = d_v if ctx.keep_state else None
        d_m = d_m if ctx.keep_state and m is not None else None
        for_state = any(ctx.needs_input_grad[1:3])
        dx, dv, dm, d_leak = run_backward(x_seq, v, m, leak, d_spike_seq, d_v, d_m, for_state, *ctx.dynamics)
        return (
            dx,
            dv if for_state else None,
            dm if for_state and m is not None else None,
            leak_gradient(d_leak, leak),
            None,
            *(None for _ in ctx.dynamics),
        )

    library, run = register(name, _FORWARD_SCHEMA, forward, fake_forward, differentiate, setup_context)
    library_backward, run_backward = register(
        f"{name}_backward", _BACKWARD_SCHEMA, backward, fake_backward, refuse_second_derivative
    )
    library.register_vmap(_vmap_rule(library, time_axes=(0,)))
    library_backward.register_vmap(_vmap_rule(library_backward, time_axes=(0, 4)))

    def multi_step(
        neuron: str, x_seq: Tensor, state: State, keep_state: bool = True, **dynamics: Any
    ) -> tuple[Tensor, State]:
        """A whole sequence: x_seq [T, N, *], state of shapes [N, *] -> spikes [T, N, *], the last state if wanted."""
        v, *rest = state
        leak = leak_of(neuron, v.dtype, dynamics)
        spike_seq, *last = run(x_seq, v, rest[0] if rest else None, leak, keep_state, *constants(neuron, **dynamics))
        return spike_seq, tuple(last[: len(state)]) if keep_state else ()

    return multi_step


def refuse_second_derivative(ctx: Any, *grads: Any) -> None:
    """The derivative of every backward operator."""
    raise InputError(
        "the compiled kernels have a first derivative only; "
        'for gradients of gradients use backend="torch" (clif.set_backend(net, "torch"))'
    )


def leak_of(neuron: str, dtype: torch.dtype, dynamics: dict[str, Any]) -> Tensor | None:
    """1/τ of PLIF, which learns it; None for the others."""
    return torch.sigmoid(dynamics["w"].to(dtype)) if neuron == "PLIF" else None


def leak_gradient(d_leak: Tensor, leak: Tensor | None) -> Tensor | None:
    """The gradient of 1/τ from that of every neuron."""
    return None if leak is None else d_leak.sum(dtype=torch.float64).to(leak.dtype)


def constants(
    neuron: str,
    *,
    decay_input: bool,
    v_threshold: float,
    v_reset: float | None,
    surrogate_function: SurrogateFunction,
    detach_reset: bool,
    tau: float = 1.0,
    w: Tensor | None = None,
    v_subtract: float | None = None,
) -> Dynamics:
    assert isinstance(surrogate_function, surrogate.Surrogate)
    return Dynamics(
        neuron,
        float(tau),
        bool(decay_input),
        float(v_threshold),
        None if v_reset is None else float(v_reset),
        float(v_threshold if v_subtract is None else v_subtract),
        SURROGATE_NAMES[type(surrogate_function)],
        float(surrogate_function.alpha),
        bool(detach_reset),
    )


def step_strides(x_seq: Tensor) -> Strides:
    """The strides [N, *] of every step that a kernel reads or writes: those of x_seq's steps, made dense if need be."""
    return torch.empty_like(x_seq[0], device="meta").stride()


def empty_sequence(x_seq: Tensor, strides: Strides) -> Tensor:
    strides = (x_seq[0].numel(), *strides)
    return torch.empty_strided(x_seq.shape, strides, dtype=x_seq.dtype, device=x_seq.device)


def empty_state(x_seq: Tensor, strides: Strides, wanted: bool) -> Tensor:
    dtype = compute_dtype(x_seq.dtype)
    if not wanted:
        return torch.empty(0, dtype=dtype, device=x_seq.device)
    return torch.empty_strided(x_seq.shape[1:], strides, dtype=dtype, device=x_seq.device)


def empty_outputs(x_seq: Tensor, strides: Strides, m: Tensor | None, keep_state: bool) -> Outputs:
    """Uninitialised outputs for an input, the state only if it is to be kept, `m` only where the neuron has it."""
    return Outputs(
        empty_sequence(x_seq, strides),
        empty_state(x_seq, strides, keep_state),
        empty_state(x_seq, strides, keep_state and m is not None),
    )


def empty_gradients(
    x_seq: Tensor, strides: Strides, m: Tensor | None, leak: Tensor | None, for_state: bool
) -> Gradients:
    """Uninitialised gradients, those of the state only `for_state`."""
    return Gradients(
        empty_sequence(x_seq, strides),
        empty_state(x_seq, strides, for_state),
        empty_state(x_seq, strides, for_state and m is not None),
        empty_state(x_seq, strides, leak is not None),
    )


def _has_strides(shape: Sequence[int], actual: Strides, wanted: Strides) -> bool:
    return all(size <= 1 or a == w for size, a, w in zip(shape, actual, wanted, strict=True))


def align_step(step: Tensor, strides: Strides) -> Tensor:
    if _has_strides(step.shape, step.stride(), strides):
        return step
    return torch.empty_strided(step.shape, strides, dtype=step.dtype, device=step.device).copy_(step)


def align_sequence(seq: Tensor, strides: Strides) -> Tensor:
    """`seq` with steps of these strides; its own stride along T stays, 0 included, unless it must be copied."""
    if _has_strides(seq.shape[1:], seq.stride()[1:], strides):
        return seq
    if seq.stride(0) == 0:
        return align_step(seq[0], strides).expand(seq.shape)
    return align_step(seq, (seq[0].numel(), *strides))


def align_state(state: Tensor, strides: Strides) -> Tensor:
    return state if is_one_value(state) else align_step(state, strides)


def is_one_value(state: Tensor) -> bool:
    """Whether a tensor is one number expanded, as a state at rest is."""
    return _has_strides(state.shape, state.stride(), (0,) * state.dim())


def align_inputs(x_seq: Tensor, strides: Strides, v: Tensor, m: Tensor | None, leak: Tensor | None) -> Inputs:
    """Inputs as the kernels take them, with steps of these strides; copied only where they lie otherwise."""
    return Inputs(
        align_sequence(x_seq, strides),
        align_state(v, strides),
        None if m is None else align_state(m, strides),
        leak,
    )


def align_gradients(
    strides: Strides, d_spike_seq: Tensor | None, d_v: Tensor | None, d_m: Tensor | None
) -> OutputGradients:
    """The gradients of the outputs, with steps of these strides."""
    return OutputGradients(
        None if d_spike_seq is None else align_sequence(d_spike_seq, strides),
        None if d_v is None else align_step(d_v, strides),
        None if d_m is None else align_step(d_m, strides),
    )


def _vmap_rule(operator: Callable[..., Any], time_axes: tuple[int, ...]) -> Callable[..., Any]:
    """vmap over neurons that share their constants: the batch dimension becomes one more dimension of N.

    Arguments at the positions `time_axes` are sequences, their batch goes behind T. A batched `leak` (one τ for each
    sample) has no such form; its samples run one after the other.
    """
    leak_position = 3

    def rule(info, in_dims, *args):
        if in_dims[leak_position] is not None:
            return _vmap_by_loop(operator, info, in_dims, args)
        batched = [
            _to_front(arg, in_dim, info.batch_size, position in time_axes)
            if isinstance(arg, Tensor) and arg.dim()
            else arg
            for position, (arg, in_dim) in enumerate(zip(args, in_dims, strict=True))
        ]
        outputs = operator(*batched)
        sequence_first = (1, *(0 for _ in outputs[1:]))
        dims = tuple(
            d if out.numel() or out.dim() > 1 else None for d, out in zip(sequence_first, outputs, strict=True)
        )
        return outputs, dims

    return rule


def _to_front(tensor: Tensor, in_dim: int | None, batch_size: int, behind_time: bool) -> Tensor:
    target = 1 if behind_time else 0
    if in_dim is not None:
        return tensor.movedim(in_dim, target)
    shape = list(tensor.shape)
    shape.insert(target, batch_size)
    return tensor.unsqueeze(target).expand(shape)


def _vmap_by_loop(operator: Callable[..., Any], info: Any, in_dims: Any, args: Any) -> Any:
    samples = [
        operator(
            *(arg if dim is None else arg.select(dim, i) for arg, dim in zip(args, in_dims, strict=True)),
        )
        for i in range(info.batch_size)
    ]
    outputs = tuple(torch.stack(out) for out in zip(*samples, strict=True))
    return outputs, tuple(0 for _ in outputs)
