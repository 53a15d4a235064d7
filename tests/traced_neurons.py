"""CLIF, LIF and PLIF as traced steps, and other neurons with more states, channels and functions."""

import torch
from torch import nn

from clif.generate.trace import PLAIN, Signature, Trace, trace
from clif.surrogate import Rectangle, Surrogate


class Neuron(nn.Module):
    """The attributes that the steps below read: the constants of `clif`'s neurons."""

    signature = Signature({"v": 0.0}, {})

    def __init__(
        self,
        surrogate_function: Surrogate | None = None,
        tau: float = 2.0,
        decay_input: bool = False,
        v_threshold: float = 1.0,
        v_reset: float | None = None,
        detach_reset: bool = False,
    ) -> None:
        super().__init__()
        self.surrogate_function = surrogate_function or Rectangle()
        self.tau = tau
        self.decay_input = decay_input
        self.v_threshold = v_threshold
        self.v_reset = v_reset
        self.detach_reset = detach_reset

    def charge(self, x, v, leak):
        if self.decay_input:
            x = x * leak
        return v * (1 - leak) + x if self.v_reset is None else v - (v - self.v_reset) * leak + x

    def fire(self, u):
        return self.surrogate_function(u - self.v_threshold)

    def reset_after(self, u, spike):
        s = spike.detach() if self.detach_reset else spike
        return s, u - s * self.v_threshold if self.v_reset is None else (1 - s) * u + s * self.v_reset

    def traced(self) -> Trace:
        plain = {name: value for name, value in vars(self).items() if isinstance(value, PLAIN)}
        return trace(type(self), plain, self.signature)


class LIF(Neuron):
    def step(self, x, v):
        u = self.charge(x, v, 1 / self.tau)
        spike = self.fire(u)
        return spike, self.reset_after(u, spike)[1]


class PLIF(Neuron):
    signature = Signature({"v": 0.0}, {"leak": "layer"})

    def step(self, x, v, leak):
        u = self.charge(x, v, leak)
        spike = self.fire(u)
        return spike, self.reset_after(u, spike)[1]


class CLIF(Neuron):
    signature = Signature({"v": 0.0, "m": 0.0}, {})

    def step(self, x, v, m):
        u = self.charge(x, v, 1 / self.tau)
        spike = self.fire(u)
        m = m * torch.sigmoid(u / self.tau) + spike
        s, v = self.reset_after(u, spike)
        return spike, v - s * torch.sigmoid(m), m


class Adaptive(Neuron):
    """Three states, a learnt threshold per channel, and a learnt leak of the layer."""

    signature = Signature({"v": 0.0, "a": 0.5, "w": 0.0}, {"leak": "layer", "threshold": "channel"})

    def step(self, x, v, a, w, leak, threshold):
        u = self.charge(x - w, v, leak)
        spike = self.surrogate_function(u - threshold - a.abs())
        a = torch.maximum(a * 0.9, torch.tanh(u)) + spike * 0.25
        w = torch.where(u > threshold, w * 0.5 + torch.exp(-u.abs()), w / (1 + u * u))
        return spike, self.reset_after(u, spike)[1], a, w


class Functions(Neuron):
    """Every function of a program, with one coefficient of each kind."""

    signature = Signature({"v": 0.0, "a": 0.5}, {"k": "layer", "w": "channel"})

    def step(self, x, v, a, k, w):
        u = torch.tanh(v) + torch.exp(-a * a) + torch.nn.functional.softplus(x) / w + torch.floor(x) * k
        spike = self.fire(u)
        v = torch.where((u > 0) & ~(v < w) | (x == k), torch.log(u * u + 1), torch.sqrt(u * u + 0.5)) - spike * w
        a = torch.erf(a) + torch.round(u).abs() ** 1.5 + torch.minimum(a, torch.sigmoid(x) ** w) + (1 - spike) * k
        return spike, v, a
