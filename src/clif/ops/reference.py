"""The neurons in plain PyTorch, step by step: the backend "torch", with which all others must agree."""

from torch import Tensor

from clif.ops.equations import Equations, State, stack_steps
from clif.ops.kept import apart


def multi_step(equations: Equations, x_seq: Tensor, state: State, keep_state: bool) -> tuple[Tensor, State]:
    """A whole sequence: x_seq [T, N, *], state of shapes [N, *] -> spikes [T, N, *], the state after the last step.

    Without `keep_state` the returned state is empty, so kernels need not compute it.
    """
    one_step = equations.one_step(x_seq[0])
    spikes = []
    for x in x_seq.unbind(0):
        spike, state = one_step(x, state)
        spikes.append(spike)
    return stack_steps(spikes), tuple([apart(value, x_seq) for value in state]) if keep_state else ()
