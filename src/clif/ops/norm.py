"""A batch norm and the neuron behind it as one operator: the normalised sequence is never written to memory.

`create(name, kernels)` registers `clif::<name>` as `operator.create` does for neurons alone, and returns the backend's
`norm_multi_step`. A sequence is [T, N, C, H, W] with the channels fastest in memory (channels_last), so that to a
kernel it is [T, pixels, C]. Every step has its own mean and variance, or in evaluation all have the running ones.

With y = x·scale + shift, scale = weight/√(var + ε) and shift = bias − mean·scale, the neuron's backward pass gives
g = ∂L/∂y and for every step and channel Σg and Σg·(x − mean), from which the rest follows (Ioffe & Szegedy, 2015):
∂L/∂x = scale·(g − Σg/n − (x − mean)·Σg·(x − mean)/(n·(var + ε))), in evaluation scale·g. Of the sequences only
x is kept between forward and backward; beside it the initial state, PLIF's 1/τ, weight, bias, and mean and var.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from torch import Tensor

from clif.ops import operator
from clif.ops.operator import Dynamics, Gradients, Inputs, OutputGradients, Outputs
from clif.ops.reference import State, compute_dtype
from clif.ops.registration import is_transformed, register


class Norm(NamedTuple):
    """A batch norm of C channels: weight and bias [C]; mean and var [C] in evaluation, else None: each step's own."""

    weight: Tensor
    bias: Tensor
    eps: float
    mean: Tensor | None
    var: Tensor | None


class Affine(NamedTuple):
    """What a batch norm does to step t of channel c: x·scale + shift; all [T, C] in the dtype of computation."""

    scale: Tensor
    shift: Tensor
    mean: Tensor


class Kernels(NamedTuple):
    """What a backend computes.

    statistics(x_seq) -> mean and biased variance [T, C]; forward(inputs, dynamics, affine, outputs) fills `outputs`;
    backward(inputs, dynamics, affine, incoming, gradients) fills `gradients`, that of x_seq with ∂L/∂y, and returns the
    sums [T, 2, C] in float64; scale(x_seq, dx, of_dx, of_x, constant) makes dx·of_dx + x·of_x + constant of dx.
    """

    statistics: Callable[[Tensor], tuple[Tensor, Tensor]]
    forward: Callable[[Inputs, Dynamics, Affine, Outputs], None]
    backward: Callable[[Inputs, Dynamics, Affine, OutputGradients, Gradients], Tensor]
    scale: Callable[[Tensor, Tensor, Tensor, Tensor, Tensor], None]


_NORM = "Tensor weight, Tensor bias, float eps, Tensor? mean, Tensor? var"
_FORWARD_SCHEMA = (
    f"(Tensor x_seq, {_NORM}, Tensor v, Tensor? m, Tensor? leak, bool keep_state, {operator.DYNAMICS})"
    " -> (Tensor, Tensor, Tensor, Tensor, Tensor)"
)
_BACKWARD_SCHEMA = (
    f"(Tensor x_seq, {_NORM}, Tensor v, Tensor? m, Tensor? leak, bool own_statistics, "
    f"Tensor? d_spike_seq, Tensor? d_v, Tensor? d_m, bool for_state, {operator.DYNAMICS})"
    " -> (Tensor, Tensor, Tensor, Tensor, Tensor, Tensor)"
)


def create(name: str, kernels: Kernels) -> Callable[..., Any]:
    """Register `clif::<name>`; returns `norm_multi_step(neuron, x_seq, norm, state, keep_state, **dynamics)`.

    That returns the spikes [T, N, C, H, W], the last state (empty unless it is to be kept), and the mean and biased
    variance [T, C] of every step, which are empty where the norm came with fixed ones, and have no gradient.
    """

    def forward(x_seq, weight, bias, eps, mean, var, v, m, leak, keep_state, *dynamics):
        strides = operator.step_strides(x_seq)
        inputs = operator.align_inputs(x_seq, strides, v, m, leak)
        found = _no_statistics(x_seq) if mean is not None else kernels.statistics(inputs.x_seq)
        used = (mean, var) if mean is not None else found
        outputs = operator.empty_outputs(x_seq, strides, m, keep_state)
        kernels.forward(inputs, Dynamics(*dynamics), affine_of(x_seq, weight, bias, eps, *used), outputs)
        return (*outputs, *found)

    def backward(
        x_seq, weight, bias, eps, mean, var, v, m, leak, own_statistics, d_spike_seq, d_v, d_m, for_state, *dynamics
    ):
        strides = operator.step_strides(x_seq)
        inputs = operator.align_inputs(x_seq, strides, v, m, leak)
        incoming = operator.align_gradients(strides, d_spike_seq, d_v, d_m)
        gradients = operator.empty_gradients(x_seq, strides, m, leak, for_state)
        affine = affine_of(x_seq, weight, bias, eps, mean, var)
        sums = kernels.backward(inputs, Dynamics(*dynamics), affine, incoming, gradients)
        d_weight, d_bias = finish_backward(
            kernels.scale,
            inputs.x_seq,
            gradients.x_seq,
            sums,
            affine,
            Norm(weight, bias, eps, mean, var),
            own_statistics,
        )
        return gradients.x_seq, d_weight, d_bias, *gradients[1:]

    def fake_forward(x_seq, weight, bias, eps, mean, var, v, m, leak, keep_state, *dynamics):
        found = _no_statistics(x_seq) if mean is not None else _empty_statistics(x_seq)
        return (*operator.empty_outputs(x_seq, operator.step_strides(x_seq), m, keep_state), *found)

    def fake_backward(
        x_seq, weight, bias, eps, mean, var, v, m, leak, own_statistics, d_spike_seq, d_v, d_m, for_state, *dynamics
    ):
        gradients = operator.empty_gradients(x_seq, operator.step_strides(x_seq), m, leak, for_state)
        return gradients.x_seq, torch.empty_like(weight), torch.empty_like(bias), *gradients[1:]

    def setup_context(ctx, inputs, output):
        x_seq, weight, bias, ctx.eps, mean, var, v, m, leak, ctx.keep_state, *ctx.dynamics = inputs
        ctx.own_statistics = mean is None
        found = output[3:]
        ctx.mark_non_differentiable(*found)
        ctx.save_for_backward(x_seq, weight, bias, *(found if mean is None else (mean, var)), v, m, leak)
        ctx.set_materialize_grads(False)

    def differentiate(ctx, d_spike_seq, d_v, d_m, _mean, _var):
        x_seq, weight, bias, mean, var, v, m, leak = ctx.saved_tensors
        d_v = d_v if ctx.keep_state else None
        d_m = d_m if ctx.keep_state and m is not None else None
        for_state = any(ctx.needs_input_grad[6:8])
        dx, d_weight, d_bias, dv, dm, d_leak = run_backward(
            x_seq, weight, bias, ctx.eps, mean, var, v, m, leak,
            ctx.own_statistics, d_spike_seq, d_v, d_m, for_state, *ctx.dynamics,
        )  # fmt: skip
        return (
            dx,
            d_weight,
            d_bias,
            None,
            None,
            None,
            dv if for_state else None,
            dm if for_state and m is not None else None,
            operator.leak_gradient(d_leak, leak),
            None,
            *(None for _ in ctx.dynamics),
        )

    _, run = register(name, _FORWARD_SCHEMA, forward, fake_forward, differentiate, setup_context)
    _, run_backward = register(
        f"{name}_backward", _BACKWARD_SCHEMA, backward, fake_backward, operator.refuse_second_derivative
    )

    def norm_multi_step(
        neuron: str, x_seq: Tensor, norm: Norm, state: State, keep_state: bool = True, **dynamics: Any
    ) -> tuple[Tensor, State, Tensor, Tensor]:
        """A batch norm and a neuron over x_seq [T, N, C, H, W] from `state`."""
        v, *rest = state
        leak = operator.leak_of(neuron, v.dtype, dynamics)
        spike_seq, v_last, m_last, mean, var = run(
            x_seq, *norm, v, rest[0] if rest else None, leak, keep_state, *operator.constants(neuron, **dynamics)
        )
        return spike_seq, (v_last, m_last)[: len(state) if keep_state else 0], mean, var

    return norm_multi_step


def refuses(x_seq: Tensor, norm: Norm) -> str | None:
    """Why no fused kernel takes this batch norm of this input, or None if they do."""
    if is_transformed():
        return "torch.func transforms the network"
    if x_seq.dim() != 5 or not x_seq[0].is_contiguous(memory_format=torch.channels_last):
        return "the channels are not what lies closest in memory"
    if norm.weight.dtype != compute_dtype(x_seq.dtype):
        return f"the batch norm is in {norm.weight.dtype}"
    if norm.mean is None and x_seq[0].numel() <= x_seq.shape[2]:
        return "a channel has no more than one value, and so no variance"
    return None


def finish_backward(
    scale_kernel: Callable[[Tensor, Tensor, Tensor, Tensor, Tensor], None],
    x_seq: Tensor,
    dx: Tensor,
    sums: Tensor,
    affine: Affine,
    norm: Norm,
    own_statistics: bool,
) -> tuple[Tensor, Tensor]:
    """Make ∂L/∂x of g = ∂L/∂y in `dx`, from Σg and Σg·(x − mean) [T, 2, C]; returns those of weight and bias."""
    assert norm.mean is not None
    assert norm.var is not None
    of_g, of_g_x = sums.unbind(1)
    precision = 1 / (norm.var.double() + norm.eps)
    if own_statistics:
        scale, pixels = affine.scale.double(), x_seq[0].numel() // x_seq.shape[2]
        of_x = -scale * precision * of_g_x / pixels
        constant = -scale * of_g / pixels - of_x * norm.mean.double()
        scale_kernel(x_seq, dx, affine.scale, *(factor.to(affine.scale.dtype) for factor in (of_x, constant)))
    else:
        dx.mul_(affine.scale[:, None, :, None, None])
    d_weight = (of_g_x * precision.sqrt()).sum(0).to(norm.weight.dtype)
    return d_weight, of_g.sum(0).to(norm.bias.dtype)


def affine_of(x_seq: Tensor, weight: Tensor, bias: Tensor, eps: float, mean: Tensor, var: Tensor) -> Affine:
    mean = mean.double()
    scale = weight.double() * (var.double() + eps).rsqrt()
    parts = (scale, bias.double() - mean * scale, mean)
    shape, dtype = (len(x_seq), x_seq.shape[2]), compute_dtype(x_seq.dtype)
    return Affine(*(part.to(dtype).expand(shape).contiguous() for part in parts))


def _empty_statistics(x_seq: Tensor) -> tuple[Tensor, Tensor]:
    shape, dtype = (len(x_seq), x_seq.shape[2]), compute_dtype(x_seq.dtype)
    return x_seq.new_empty(shape, dtype=dtype), x_seq.new_empty(shape, dtype=dtype)


def _no_statistics(x_seq: Tensor) -> tuple[Tensor, Tensor]:
    dtype = compute_dtype(x_seq.dtype)
    return x_seq.new_empty(0, dtype=dtype), x_seq.new_empty(0, dtype=dtype)
