"""The charge of a leaky membrane, for CLIF, LIF and PLIF."""

from typing import Any

from clif.ops.switches import scale_if


def charge(x: Any, v: Any, leak: Any, decay_input: bool, v_reset: Any) -> Any:
    """u after a step, where `leak` is 1/τ: the potential decays towards `v_reset`, or 0 if that is None."""
    x = scale_if(decay_input, x, leak)
    if v_reset is None:
        return v * (1 - leak) + x
    return v - (v - v_reset) * leak + x
