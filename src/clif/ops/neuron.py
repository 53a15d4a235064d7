"""The operator `clif::neuron`: a neuron of any equations over a whole sequence, computed by generated kernels.

A neuron arrives as the canonical text of its program (`clif.generate.program`) and the values of its constants, so that
an exported network runs without the class that declared it. States are [N, *] or one value expanded, coefficients a
scalar or, by channel, [C] with C = axis 1 of the steps [N, C, *]; all in the dtype of computation. `backend` is the
name of one of `kernel_interface.MODULES`, or empty for that of the device.

`norm` is empty, or the batch norm in front of the neuron: weight and bias [C], and mean and var [C] if these are fixed.
Otherwise every step has its own mean and var [T, C], which follow the last states among the outputs. `clif.ops.norm`
has the mathematics.

Between forward and backward only these inputs are kept, and mean and var.
"""

from collections.abc import Sequence
from functools import lru_cache
from typing import Any, NamedTuple

import torch
from torch import Tensor

from clif import private_torch
from clif.ops import layout
from clif.ops.batching import backward_rule, forward_rule, one_by_one
from clif.ops.equations import compute_dtype
from clif.ops.kernel_interface import Aligned, Gradients, kernels_for
from clif.ops.layout import Strides
from clif.ops.norm import Norm, affine_of, finish_backward
from clif.ops.recomputing import reads_spikes
from clif.ops.registration import (
    is_observed,
    is_plain,
    is_transformed,
    keep_nothing,
    refuse_forward_mode,
    refuse_second_derivative,
)

Tensors = Sequence[Tensor]


class Inputs(NamedTuple):
    """The arguments of the operator, in its order."""

    x_seq: Tensor
    states: Tensors
    coefficients: Tensors
    norm: Tensors
    eps: float
    program: str
    constants: Sequence[float]
    keep_state: bool
    backend: str = ""

    @property
    def own_statistics(self) -> bool:
        """Whether every step is normalised by its own mean and variance."""
        return len(self.norm) == 2


def _align(inputs: Inputs, strides: Strides, mean: Tensor | None, var: Tensor | None) -> Aligned:
    x_seq = inputs.x_seq
    affine = None
    if inputs.norm:
        assert mean is not None
        assert var is not None
        affine = affine_of(x_seq, inputs.norm[0], inputs.norm[1], inputs.eps, mean, var)
    return Aligned(
        layout.align_sequence(x_seq, strides),
        [layout.align_state(state, strides) for state in inputs.states],
        [layout.align_coefficient(value, x_seq.shape[1:], strides) for value in inputs.coefficients],
        _numbers(tuple(inputs.constants)),
        inputs.program,
        affine,
    )


@lru_cache(10_000)
def _numbers(constants: tuple[float, ...]) -> Tensor:
    return torch.tensor(constants, dtype=torch.float64, device="cpu")


def _statistics(inputs: Inputs, strides: Strides) -> list[Tensor]:
    """Mean and variance [T, C] of every step, if it is normalised by its own."""
    if not inputs.own_statistics:
        return []
    x_seq = inputs.x_seq
    once = x_seq[:1] if x_seq.stride(0) == 0 else x_seq
    found = kernels_for(x_seq.device.type, inputs.backend).statistics(layout.align_sequence(once, strides))
    return [value if len(value) == len(x_seq) else value.repeat(len(x_seq), 1) for value in found]


def _forward(*arguments: Any) -> tuple[Tensor, list[Tensor]]:
    inputs = Inputs(*arguments)
    x_seq = inputs.x_seq
    strides = layout.step_strides(x_seq)
    kernels = kernels_for(x_seq.device.type, inputs.backend)
    found = _statistics(inputs, strides)
    mean, var = found or inputs.norm[2:] or (None, None)
    spike_seq = layout.empty_sequence(x_seq, strides)
    last = [layout.empty_state(x_seq, strides, True) for _ in inputs.states] if inputs.keep_state else []
    kernels.forward(_align(inputs, strides, mean, var), spike_seq, last)
    return spike_seq, [*last, *found]


def _unread_forward(inputs: Inputs) -> tuple[Tensor, list[Tensor]]:
    """`_forward` if only the derivative is needed: spikes and states are tensors without values."""
    x_seq = inputs.x_seq
    last = [x_seq.new_empty((), dtype=compute_dtype(x_seq.dtype)).expand(x_seq.shape[1:]) for _ in inputs.states]
    found = _statistics(inputs, layout.step_strides(x_seq))
    return x_seq.new_empty(()).expand(x_seq.shape), [*(last if inputs.keep_state else []), *found]


def _fake_forward(*arguments: Any) -> tuple[Tensor, list[Tensor]]:
    inputs = Inputs(*arguments)
    x_seq = inputs.x_seq
    strides = layout.step_strides(x_seq)
    last = [layout.empty_state(x_seq, strides, True) for _ in inputs.states] if inputs.keep_state else []
    shape, dtype = (len(x_seq), x_seq.shape[2] if inputs.norm else 0), compute_dtype(x_seq.dtype)
    found = [x_seq.new_empty(shape, dtype=dtype) for _ in range(2)] if inputs.own_statistics else []
    return layout.empty_sequence(x_seq, strides), [*last, *found]


def _empty_gradients(inputs: Inputs, strides: Strides, for_state: bool) -> Gradients:
    x_seq = inputs.x_seq
    return Gradients(
        layout.empty_sequence(x_seq, strides),
        [layout.empty_state(x_seq, strides, True) for _ in inputs.states] if for_state else [],
        [layout.empty_state(x_seq, strides, True) for _ in inputs.coefficients],
    )


def _backward(
    x_seq: Tensor, states: Tensors, coefficients: Tensors, norm: Tensors, eps: float, program: str,
    constants: Sequence[float], own_statistics: bool, incoming: Sequence[Tensor | None], for_state: bool,
    backend: str = "",
) -> list[Tensor]:  # fmt: skip
    """The gradients of x_seq, of weight and bias (with a norm), of the states (if wanted), and of the coefficients."""
    inputs = Inputs(x_seq, states, coefficients, norm, eps, program, constants, False)
    strides = layout.step_strides(x_seq)
    kernels = kernels_for(x_seq.device.type, backend)
    mean, var = norm[2:] or (None, None)
    aligned = _align(inputs, strides, mean, var)
    d_spike, *d_last = incoming
    gradients = _empty_gradients(inputs, strides, for_state)
    sums = kernels.backward(
        aligned,
        [
            None if d_spike is None else layout.align_sequence(d_spike, strides),
            *(None if d is None else layout.align_step(d, strides) for d in d_last),
        ],
        gradients,
    )
    of_norm: list[Tensor] = []
    if aligned.affine is not None:
        assert sums is not None
        of_norm = list(
            finish_backward(
                kernels.scale, aligned.x_seq, gradients.x_seq, sums, aligned.affine,
                Norm(norm[0], norm[1], eps, mean, var), own_statistics,
            )
        )  # fmt: skip
    of_coefficients = [
        kernels.sums(layout.by_channel(total, strides, value.dim() == 1)).to(value.dtype).view_as(value)
        for total, value in zip(gradients.coefficients, coefficients, strict=True)
    ]
    return [gradients.x_seq, *of_norm, *gradients.states, *of_coefficients]


def _fake_backward(
    x_seq: Tensor, states: Tensors, coefficients: Tensors, norm: Tensors, eps: float, program: str,
    constants: Sequence[float], own_statistics: bool, incoming: Sequence[Tensor | None], for_state: bool,
    backend: str = "",
) -> list[Tensor]:  # fmt: skip
    inputs = Inputs(x_seq, states, coefficients, norm, eps, program, constants, False)
    gradients = _empty_gradients(inputs, layout.step_strides(x_seq), for_state)
    values = (*norm[:2], *coefficients)
    first, rest = [torch.empty_like(v) for v in values[: len(norm[:2])]], values[len(norm[:2]) :]
    return [gradients.x_seq, *first, *gradients.states, *(torch.empty_like(v) for v in rest)]


class _Flat(NamedTuple):
    """The arguments of the operator except its tensors, for functions that take the tensors one by one."""

    counts: tuple[int, int, int]
    eps: float
    program: str
    constants: Sequence[float]
    keep_state: bool
    backend: str

    def inputs(self, x_seq: Tensor, tensors: Tensors) -> Inputs:
        states, coefficients, norm = map(list, _split(tensors, self.counts))
        return Inputs(x_seq, states, coefficients, norm, *self[1:])


def _save(ctx: Any, inputs: Inputs, extra: Tensors) -> None:
    found = extra[len(extra) - 2 :] if inputs.own_statistics else []
    counts = (len(inputs.states), len(inputs.coefficients), len(inputs.norm))
    ctx.saved, ctx.own_statistics = _Flat(counts, *inputs[4:]), inputs.own_statistics
    ctx.save_for_backward(inputs.x_seq, *inputs.states, *inputs.coefficients, *inputs.norm, *found)
    ctx.set_materialize_grads(False)


def _split(tensors: Tensors, counts: tuple[int, int, int]) -> tuple[Tensors, Tensors, Tensors]:
    """States, coefficients and norm (to the end) from one list of all of them."""
    states, coefficients, _ = counts
    return tensors[:states], tensors[states : states + coefficients], tensors[states + coefficients :]


def _differentiate(
    ctx: Any, d_spike: Tensor | None, d_extra: Sequence[Tensor | None], for_state: bool
) -> tuple[Tensor, list[Tensor | None], list[Tensor], list[Tensor | None]]:
    """The gradients of x_seq, the states, the coefficients and the norm."""
    saved: _Flat = ctx.saved
    x_seq, *tensors = ctx.saved_tensors
    states, coefficients, norm = _split(tensors, saved.counts)
    d_last = d_extra[: len(states)] if saved.keep_state else [None] * len(states)
    dx, *rest = run_backward(
        x_seq, list(states), list(coefficients), list(norm), saved.eps, saved.program, saved.constants,
        ctx.own_statistics, [d_spike, *d_last], for_state, saved.backend,
    )  # fmt: skip
    of_norm: list[Tensor | None] = [rest.pop(0) for _ in norm[:2]]
    of_states: list[Tensor | None] = [rest.pop(0) for _ in states] if for_state else [None] * len(states)
    return dx, of_states, rest, [*of_norm, *(None for _ in range(saved.counts[2] - len(of_norm)))]


def _setup_library(ctx: Any, inputs: Any, output: Any) -> None:
    _save(ctx, Inputs(*inputs), output[1])


def _backward_library(ctx: Any, d_spike: Tensor | None, d_extra: Sequence[Tensor | None]) -> Any:
    gradients = _differentiate(ctx, d_spike, d_extra, any(ctx.needs_input_grad[1]))
    return (*gradients, *(None for _ in ctx.needs_input_grad[4:]))


neuron = torch.library.custom_op(
    "clif::neuron",
    _forward,
    mutates_args=(),
    schema="(Tensor x_seq, Tensor[] states, Tensor[] coefficients, Tensor[] norm, float eps, str program, "
    "float[] constants, bool keep_state, str backend='') -> (Tensor, Tensor[])",
)
neuron.register_fake(_fake_forward)
neuron.register_autograd(_backward_library, setup_context=_setup_library)
neuron.register_vmap(forward_rule(neuron))

neuron_backward = torch.library.custom_op(
    "clif::neuron_backward",
    _backward,
    mutates_args=(),
    schema="(Tensor x_seq, Tensor[] states, Tensor[] coefficients, Tensor[] norm, float eps, str program, "
    "float[] constants, bool own_statistics, Tensor?[] incoming, bool for_state, str backend='') -> Tensor[]",
)
neuron_backward.register_fake(_fake_backward)
neuron_backward.register_autograd(refuse_second_derivative, setup_context=keep_nothing)
neuron_backward.register_vmap(backward_rule(neuron_backward))


def _flat_backward(ctx: Any, d_spike: Tensor | None, *d_extra: Tensor | None) -> Any:
    states = ctx.saved.counts[0]
    for_state = any(ctx.needs_input_grad[2 : 2 + states])
    dx, of_states, of_coefficients, of_norm = _differentiate(ctx, d_spike, d_extra, for_state)
    return None, dx, *of_states, *of_coefficients, *of_norm


class _Direct(torch.autograd.Function):
    """The kernels without PyTorch's dispatcher, whose Python code takes longer than a small neuron."""

    @staticmethod
    def forward(ctx, flat, x_seq, *tensors):
        inputs = flat.inputs(x_seq, tensors)
        spike_seq, extra = _forward(*inputs) if reads_spikes() else _unread_forward(inputs)
        _save(ctx, inputs, extra)
        if inputs.own_statistics:
            ctx.mark_non_differentiable(*extra[-2:])
        return spike_seq, *extra

    backward = staticmethod(_flat_backward)
    jvp = staticmethod(refuse_forward_mode)  # type: ignore[assignment]


_members = {name: member for name, member in vars(_Direct).items() if isinstance(member, staticmethod)}
_Named: Any = type("clif::neuron", (torch.autograd.Function,), _members)
"""`_Direct` with the name that profilers show."""


class _Transformable(torch.autograd.Function):
    """The operator for `torch.func`."""

    generate_vmap_rule = True

    @staticmethod
    def forward(flat, x_seq, *tensors):
        spike_seq, extra = neuron(*flat.inputs(x_seq, tensors))
        return spike_seq, *extra

    @staticmethod
    def setup_context(ctx, inputs, output):
        flat, x_seq, *tensors = inputs
        _save(ctx, flat.inputs(x_seq, tensors), output[1:])

    backward = staticmethod(_flat_backward)
    jvp = staticmethod(refuse_forward_mode)  # type: ignore[assignment]


def run(*arguments: Any) -> tuple[Tensor, Tensors]:
    """The spikes [T, N, *] and the further outputs of the operator, in the form that this call needs."""
    inputs = Inputs(*arguments)
    tensors = (*inputs.states, *inputs.coefficients, *inputs.norm)
    counts = (len(inputs.states), len(inputs.coefficients), len(inputs.norm))
    if is_transformed():
        spike_seq, *extra = _Transformable.apply(_Flat(counts, *inputs[4:]), inputs.x_seq, *tensors)
    elif is_observed() or not all(map(is_plain, (inputs.x_seq, *tensors))):
        spike_seq, extra = neuron(*inputs)
    else:
        spike_seq, *extra = _Named.apply(_Flat(counts, *inputs[4:]), inputs.x_seq, *tensors)
    return spike_seq, extra


class _TransformableBackward(torch.autograd.Function):
    """`neuron_backward` for `torch.func`; `lists` has the number of tensors in each of its lists, None for no list."""

    generate_vmap_rule = True

    @staticmethod
    def forward(lists, *values):
        remaining = list(values)
        arguments = [remaining.pop(0) if count is None else [remaining.pop(0) for _ in range(count)] for count in lists]
        return tuple(neuron_backward(*arguments))

    @staticmethod
    def setup_context(ctx, inputs, output):
        del ctx, inputs, output

    backward = staticmethod(refuse_second_derivative)
    jvp = staticmethod(refuse_forward_mode)  # type: ignore[assignment]


def run_backward(*arguments: Any) -> list[Tensor]:
    """`neuron_backward`, in the form that this call needs."""
    flat = [v for argument in arguments for v in (argument if _is_tensor_list(argument) else [argument])]
    if is_transformed():
        lists = tuple(len(argument) if _is_tensor_list(argument) else None for argument in arguments)
        return list(_TransformableBackward.apply(lists, *flat))
    if any(isinstance(value, Tensor) and private_torch.is_legacy_batched(value) for value in flat):
        return one_by_one(run_backward, arguments)
    if is_observed() or torch.is_grad_enabled() or not all(map(is_plain, flat)):
        return neuron_backward(*arguments)
    return _backward(*arguments)


def _is_tensor_list(value: Any) -> bool:
    return isinstance(value, list) and all(v is None or isinstance(v, Tensor) for v in value)
