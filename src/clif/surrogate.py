"""Surrogate gradients: a spike is the Heaviside step Θ(x), Θ(0) = 1; the backward pass replaces its derivative.

A surrogate is a small immutable callable: `Rectangle()(u - v_threshold)` gives 0/1 spikes in the dtype of its input.
Any other callable that maps a tensor to spikes (SpikingJelly's surrogates, for instance) works with `backend="torch"`.
Neurons also take a surrogate by name ("sigmoid") or class (`Sigmoid`), with its default α.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar, overload

import torch
from torch import Tensor

from clif.errors import InputError, unknown_name
from clif.registration import decorator, put


class _Spike(torch.autograd.Function):
    """Θ(x) forward, `surrogate.derivative(x)` backward."""

    generate_vmap_rule = True

    @staticmethod
    def forward(x: Tensor, surrogate: "Surrogate") -> Tensor:
        return (x >= 0).to(x.dtype)

    @staticmethod
    def setup_context(ctx, inputs, output) -> None:
        x, ctx.surrogate = inputs
        ctx.save_for_backward(x)

    @staticmethod
    def backward(ctx, grad: Tensor) -> tuple[Tensor, None]:
        (x,) = ctx.saved_tensors
        return grad * ctx.surrogate.derivative(x), None


@dataclass(frozen=True)
class Surrogate:
    """Base of the surrogates. `alpha` is the sharpness as SpikingJelly defines it for each shape; it must be > 0.

    >>> class Gauss(clif.surrogate.Surrogate):
    ...     def derivative(self, x):
    ...         return self.alpha * torch.exp(-((self.alpha * x) ** 2))
    >>> Gauss(alpha=2.0)(torch.tensor([-0.1, 0.0])).tolist()
    [0.0, 1.0]
    """

    alpha: float = 1.0

    def __post_init__(self) -> None:
        alpha: Any = self.alpha
        if isinstance(alpha, Tensor):
            if alpha.requires_grad or alpha.numel() != 1:
                raise InputError(
                    f"{type(self).__name__}: alpha is a constant of the backward pass and cannot be learnt; "
                    "give a number, such as alpha.item()"
                )
            object.__setattr__(self, "alpha", float(alpha.item()))
        elif not isinstance(alpha, int | float):
            raise InputError(f"{type(self).__name__}: alpha must be a positive number, got {alpha!r}")
        if not (math.isfinite(self.alpha) and self.alpha > 0):
            raise InputError(f"{type(self).__name__}: alpha must be a positive number, got {self.alpha}")

    def __eq__(self, other: object) -> bool:
        return type(self) is type(other) and vars(self) == vars(other)

    def __call__(self, x: Tensor) -> Tensor:
        return _Spike.apply(x, self) if isinstance(x, Tensor) else x.fire(self.derivative)

    def derivative(self, x: Tensor) -> Tensor:
        """The surrogate of dΘ/dx, element by element; same shape and dtype as `x`."""
        raise NotImplementedError(f"{type(self).__name__} must define derivative(x)")


@dataclass(frozen=True, eq=False)
class Rectangle(Surrogate):
    """1/α if |x| ≤ α/2, else 0. The default of the CLIF paper (α = 1).

    >>> x = torch.tensor([-0.25, 0.0, 2.0], requires_grad=True)
    >>> clif.surrogate.Rectangle(alpha=1.0)(x).sum().backward()
    >>> x.grad
    tensor([1., 1., 0.])
    """

    def derivative(self, x: Tensor) -> Tensor:
        return (x.abs() <= self.alpha / 2).to(x.dtype) / self.alpha


@dataclass(frozen=True, eq=False)
class Sigmoid(Surrogate):
    """α σ(αx) (1 − σ(αx)), the derivative of the logistic function σ(αx).

    >>> x = torch.tensor([-0.25, 0.0, 2.0], requires_grad=True)
    >>> clif.surrogate.Sigmoid(alpha=4.0)(x).sum().backward()
    >>> x.grad
    tensor([0.7864, 1.0000, 0.0013])
    """

    alpha: float = 4.0

    def derivative(self, x: Tensor) -> Tensor:
        s = torch.sigmoid(self.alpha * x)
        return self.alpha * s * (1 - s)


@dataclass(frozen=True, eq=False)
class Triangle(Surrogate):
    """α max(0, 1 − α|x|); SpikingJelly's PiecewiseQuadratic.

    >>> x = torch.tensor([-0.25, 0.0, 2.0], requires_grad=True)
    >>> clif.surrogate.Triangle(alpha=1.0)(x).sum().backward()
    >>> x.grad
    tensor([0.7500, 1.0000, 0.0000])
    """

    def derivative(self, x: Tensor) -> Tensor:
        return self.alpha * (1 - self.alpha * x.abs()).clamp(min=0)


@dataclass(frozen=True, eq=False)
class ATan(Surrogate):
    """(α/2) / (1 + (παx/2)²), the derivative of arctan(παx/2)/π + 1/2.

    >>> x = torch.tensor([-0.25, 0.0, 2.0], requires_grad=True)
    >>> clif.surrogate.ATan(alpha=2.0)(x).sum().backward()
    >>> x.grad
    tensor([0.6185, 1.0000, 0.0247])
    """

    alpha: float = 2.0

    def derivative(self, x: Tensor) -> Tensor:
        return (self.alpha / 2) / (1 + (math.pi / 2 * self.alpha * x).square())


SurrogateFunction = Surrogate | Callable[[Tensor], Tensor]
Kind = TypeVar("Kind", bound=type[Surrogate])
AnySurrogate = SurrogateFunction | type[Surrogate] | str
"""A surrogate for a neuron: an object, any function that returns spikes, or one of clif's by class or name."""

SURROGATES: dict[str, type[Surrogate]] = {
    "rectangle": Rectangle,
    "sigmoid": Sigmoid,
    "triangle": Triangle,
    "atan": ATan,
}


@overload
def register_surrogate(name: Kind) -> Kind: ...
@overload
def register_surrogate(name: str) -> Callable[[Kind], Kind]: ...
def register_surrogate(name: Any) -> Any:
    """A class decorator: registers a surrogate by name for `surrogate=`, `--surrogate` and `surrogate_function=`.

    Without an argument the name is that of the class; upper and lower case do not matter. A class of the same module
    and qualified name is replaced, as in a notebook. Raises `InputError` for a name that is taken, for a class that is
    not a `Surrogate` with its own `derivative`, and for one that cannot be created from α alone.

    >>> @clif.surrogate.register_surrogate("gauss")
    ... class Gauss(clif.surrogate.Surrogate):
    ...     def derivative(self, x):
    ...         return self.alpha * torch.exp(-((self.alpha * x) ** 2))
    >>> node = clif.CLIFNode(surrogate_function="gauss")
    """
    return decorator("register_surrogate", name, _register)


def _register(name: str, kind: Any) -> Any:
    if not (isinstance(kind, type) and issubclass(kind, Surrogate)) or kind.derivative is Surrogate.derivative:
        raise InputError(
            f"register_surrogate({name!r}) takes a class derived from clif.surrogate.Surrogate that defines "
            f"derivative(self, x), got {kind!r}"
        )
    try:
        kind(kind().alpha)
    except TypeError as error:
        raise InputError(
            f"{kind.__name__} must accept {kind.__name__}() and {kind.__name__}(alpha): {error}"
        ) from error
    return put(SURROGATES, name.lower(), kind)


def get(name: str) -> Surrogate:
    """The surrogate of that name (any case) with its default α, or with the α after a colon: "triangle:0.5".

    Raises `InputError` for an unknown name and an α that is not a number > 0.
    """
    word, colon, alpha = name.partition(":")
    if word.lower() not in SURROGATES:
        raise unknown_name("surrogate", word, SURROGATES)
    kind = SURROGATES[word.lower()]
    if not colon:
        return kind()
    try:
        return kind(float(alpha))
    except ValueError:
        raise InputError(f'the α of a surrogate must be a number > 0, such as "{word}:0.5"; got {name!r}') from None


def name_of(surrogate_function: Any) -> str | None:
    """The name from which `get` makes an equal surrogate, with α if that is not the default, or None."""
    for name, kind in SURROGATES.items():
        if type(surrogate_function) is kind:
            full = name if surrogate_function == kind() else f"{name}:{surrogate_function.alpha!r}"
            return full if surrogate_function == get(full) else None
    return None


def resolve(surrogate_function: Any) -> SurrogateFunction:
    """A surrogate from the argument of a neuron: an object, a name, a class of this module, or None for the default.

    Raises `InputError` for anything else.
    """
    if isinstance(surrogate_function, Surrogate):
        return surrogate_function
    if surrogate_function is None:
        return Rectangle()
    if isinstance(surrogate_function, str):
        return get(surrogate_function)
    if isinstance(surrogate_function, type):
        if surrogate_function in SURROGATES.values():
            return surrogate_function()
        raise InputError(
            f"surrogate_function must be an object, got the class {surrogate_function.__name__}; "
            f"write surrogate_function={surrogate_function.__name__}()"
        )
    if not callable(surrogate_function):
        raise InputError(
            f"surrogate_function must be a surrogate or its name ({', '.join(SURROGATES)}), got {surrogate_function!r}"
        )
    return surrogate_function
