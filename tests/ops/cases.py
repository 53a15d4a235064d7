"""Neurons to compare between backends: one description that every backend can run."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from hypothesis import strategies as st
from torch import Tensor

from clif import functional
from clif.neurons.registry import spiking_neuron
from clif.ops.equations import compute_dtype
from clif.surrogate import ATan, Rectangle, Sigmoid, Surrogate, Triangle

Layout = Callable[[Tensor], Tensor]

TOLERANCES = {torch.float64: 1e-10, torch.float32: 2e-4, torch.bfloat16: 2e-2, torch.float16: 4e-3}
SURROGATES = (Rectangle(), Rectangle(0.7), Sigmoid(), Triangle(), Triangle(1.5), ATan())
MARGIN = 1e-3  # in lower precision, neurons whose potential is closer to a jump are not compared


@dataclass(frozen=True)
class Case:
    """A neuron with its constants and the seed of random inputs [T, *shape], initial states and gradients.

    Without `with_state` it begins at rest; without `with_state_gradients` its last state has no gradient, and without
    `keep_state` there is no last state.
    """

    neuron: str = "CLIF"
    T: int = 5
    shape: tuple[int, ...] = (3, 37)
    tau: float = 2.0
    decay_input: bool = False
    v_threshold: float = 1.0
    v_reset: float | None = None
    v_subtract: float | None = None
    surrogate: Surrogate = Rectangle()  # noqa: RUF009
    detach_reset: bool = False
    with_state: bool = True
    with_state_gradients: bool = True
    keep_state: bool = True
    seed: int = 0

    @property
    def state_names(self) -> tuple[str, ...]:
        return tuple(spiking_neuron(self.neuron).states)

    def inputs(self, dtype: torch.dtype) -> dict[str, Tensor]:
        """Random inputs and incoming gradients, representable in `dtype`, as float64."""
        r = torch.Generator().manual_seed(self.seed)

        def normal(*shape: int) -> Tensor:
            return torch.randn(shape, generator=r, dtype=torch.float64)

        sequence, state = (self.T, *self.shape), self.shape
        drawn = {"x": 0.3 + normal(*sequence), "d_spike": normal(*sequence), "v": normal(*state) / 2}
        drawn |= {"m": normal(*state).abs(), "d_v": normal(*state), "d_m": normal(*state), "w": normal()}
        exact = {"x": dtype, "d_spike": dtype}
        return {name: t.to(exact.get(name, compute_dtype(dtype))).double() for name, t in drawn.items()}

    def dynamics(self) -> dict[str, Any]:
        constants = {
            "decay_input": self.decay_input,
            "v_threshold": self.v_threshold,
            "v_reset": self.v_reset,
            "surrogate_function": self.surrogate,
            "detach_reset": self.detach_reset,
        }
        if self.neuron != "PLIF":
            constants["tau"] = self.tau
        if self.neuron == "LIF":
            constants["v_subtract"] = self.v_subtract
        return constants

    def safe_neurons(self, dtype: torch.dtype) -> Tensor:
        """Which neurons [*shape] keep away from every jump of their spikes and surrogate gradients."""
        distances = []

        def recording(x: Tensor) -> Tensor:
            edge = self.surrogate.alpha / 2 if isinstance(self.surrogate, Rectangle) else 0.0
            distances.append(torch.minimum(x.abs(), (x.abs() - edge).abs()))
            return self.surrogate(x)

        self._call(self.inputs(dtype), "torch", surrogate_function=recording)
        return torch.stack(distances).amin(0) > MARGIN

    def _call(self, tensors: dict[str, Tensor], backend: str, **changed: Any) -> tuple[Tensor, tuple[Tensor, ...]]:
        state = tuple(tensors[name] for name in self.state_names) if self.with_state else None
        w = {"w": tensors["w"]} if self.neuron == "PLIF" else {}
        multi_step = getattr(functional, f"{self.neuron.lower()}_multi_step")
        options = {**self.dynamics(), "backend": backend, "keep_state": self.keep_state, **changed}
        return multi_step(tensors["x"], state, **w, **options)

    def run(
        self,
        backend: str,
        dtype: torch.dtype,
        compared: Tensor,
        layout: Layout | None = None,
        rounded_to: torch.dtype | None = None,
        device: str = "cpu",
    ) -> dict[str, Tensor]:
        """Outputs and all gradients, as float64. Incoming gradients are zero unless `compared` [*shape]."""
        inputs = self.inputs(rounded_to or dtype)
        inputs |= {name: inputs[name] * compared for name in ("d_spike", "d_v", "d_m")}
        kinds = {"x": dtype, "d_spike": dtype}
        tensors = {name: t.to(device, kinds.get(name, compute_dtype(dtype))) for name, t in inputs.items()}
        if layout is not None:
            tensors["x"] = layout(tensors["x"])
        wanted = ["x", *(self.state_names if self.with_state else ()), *(["w"] if self.neuron == "PLIF" else [])]
        for name in wanted:
            tensors[name].requires_grad_()
        spikes, state = self._call(tensors, backend)
        kept = self.state_names if self.keep_state else ()
        names, outputs = ("spike", *kept), (spikes, *state)
        given = slice(None if self.with_state_gradients else 1)
        incoming = [tensors[f"d_{name}"] for name in names[given]]
        gradients = torch.autograd.grad(
            outputs[given], [tensors[name] for name in wanted], incoming, materialize_grads=True
        )
        results = {"spike": spikes, **{f"{name}_last": s for name, s in zip(kept, state, strict=True)}}
        results |= {f"d{name}": g for name, g in zip(wanted, gradients, strict=True)}
        return {name: t.detach().cpu().double() for name, t in results.items()}


@st.composite
def any_case(draw) -> Case:
    """Cases of all kinds."""
    neuron = draw(st.sampled_from(["CLIF", "LIF", "PLIF"]))
    v_reset = draw(st.sampled_from([None, 0.0, -0.25]))
    soft_lif = neuron == "LIF" and v_reset is None
    return Case(
        neuron=neuron,
        T=draw(st.integers(1, 9)),
        shape=draw(st.sampled_from([(1,), (3,), (2, 17), (1, 64), (5, 129), (2, 3, 5, 7)])),
        tau=draw(st.sampled_from([1.25, 2.0, 3.7])),
        decay_input=draw(st.booleans()),
        v_threshold=draw(st.sampled_from([1.0, 0.6])),
        v_reset=v_reset,
        v_subtract=draw(st.sampled_from([None, 0.5])) if soft_lif else None,
        surrogate=draw(st.sampled_from(SURROGATES)),
        detach_reset=draw(st.booleans()),
        with_state=draw(st.booleans()),
        with_state_gradients=draw(st.booleans()),
        keep_state=draw(st.booleans()),
        seed=draw(st.integers(0, 2**16)),
    )


def assert_equals_reference(
    case: Case, backend: str, dtype: torch.dtype, layout: Layout | None = None, device: str = "cpu"
) -> None:
    """Compares a backend in `dtype` with the reference in float64: spikes exactly, everything else within rounding."""
    compared = torch.ones(case.shape) if dtype == torch.float64 else case.safe_neurons(dtype)
    expected = case.run("torch", torch.float64, compared, rounded_to=dtype)
    actual = case.run(backend, dtype, compared, layout, device=device)
    assert actual.keys() == expected.keys()
    for name, value in expected.items():
        per_neuron = name != "dw"
        a, e = (torch.where(compared > 0, t, 0.0) if per_neuron else t for t in (actual[name], value))
        tolerance = 0.0 if name == "spike" else TOLERANCES[dtype] * max(1.0, e.abs().max().item())
        torch.testing.assert_close(a, e, rtol=0, atol=tolerance, msg=lambda text, name=name: f"{case}: {name}: {text}")
