"""A batch norm and the neuron after it in one kernel, if the backend has one."""

from torch import Tensor

from clif.layers import BatchNorm2d, has_hooks
from clif.ops import dispatch
from clif.ops.equations import Equations, State


def applies(equations: Equations, x: Tensor, norm: BatchNorm2d, backend: str) -> bool:
    """Whether norm and neuron are one kernel for x [T, N, C, H, W]: not with hooks between them."""
    return (
        type(norm) is BatchNorm2d
        and not has_hooks(norm)
        and x.dim() == 5
        and len(x) > 0
        and dispatch.fuses_norm(x, norm.for_kernels(), backend, equations)
    )


def compute(
    equations: Equations, x_seq: Tensor, norm: BatchNorm2d, start: State | None, backend: str, keep_state: bool
) -> tuple[Tensor, State]:
    """The spikes of norm(x_seq) and the last state (empty if not needed); updates the norm's running statistics."""
    state = equations.start(x_seq[0], start)
    spike_seq, last, mean, var = dispatch.norm_multi_step(
        equations, x_seq, norm.for_kernels(), state, backend, keep_state
    )
    if mean is not None and var is not None:
        norm.observe(mean, var, x_seq[0].numel() // x_seq.shape[2])
    return spike_seq, last
