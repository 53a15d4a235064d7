"""Stand-ins for the tensors of a neuron's `step`, which record the operations on them."""

from collections.abc import Callable
from typing import Any, NoReturn

import torch
from torch import Tensor
from torch.nn import functional

from clif.generate.operations import Kind
from clif.generate.program import Graph
from clif.generate.refusal import refusal


class Traced:
    """A number or mask of a step. Arithmetic and PyTorch's element-wise functions return new ones."""

    __array_priority__ = 1000

    def __init__(self, tracer: "Tracer", place: int) -> None:
        self._tracer = tracer
        self._place = place

    @classmethod
    def __torch_function__(cls, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        del types
        return call(function, args, kwargs or {})

    def __getattr__(self, name: str) -> Any:
        if name in METHODS:
            return lambda *args, **kwargs: METHODS[name](self, *args, **kwargs)
        if name.endswith("_") and not name.endswith("__") and name[:-1] in METHODS:
            raise refusal(f"{name} changes a tensor in place", f"write v = v.{name[:-1]}(...) with a new value")
        if name.startswith("__"):
            raise AttributeError(name)
        raise refusal(f"a kernel has no tensor.{name}", ADVICE)

    @property
    def dtype(self) -> "_DtypeOf":
        return _DtypeOf()

    def __bool__(self) -> bool:
        raise refusal("a branch on a tensor", "use torch.where(condition, a, b), which chooses element by element")

    def _no_number(self, *_: Any) -> NoReturn:
        raise refusal("a tensor used as a Python number, index or sequence", ADVICE)

    __float__ = __int__ = __index__ = __len__ = __iter__ = __getitem__ = __setitem__ = __contains__ = _no_number

    def _in_place(self, _: Any) -> NoReturn:
        raise refusal("an operation in place", "write v = v + x, because += would change the caller's tensor")

    __iadd__ = __isub__ = __imul__ = __itruediv__ = __ipow__ = __ifloordiv__ = __imod__ = _in_place

    def __add__(self, other: Any) -> "Traced":
        return record("add", self, other)

    def __radd__(self, other: Any) -> "Traced":
        return record("add", other, self)

    def __sub__(self, other: Any) -> "Traced":
        return record("sub", self, other)

    def __rsub__(self, other: Any) -> "Traced":
        return record("sub", other, self)

    def __mul__(self, other: Any) -> "Traced":
        return record("mul", self, other)

    def __rmul__(self, other: Any) -> "Traced":
        return record("mul", other, self)

    def __truediv__(self, other: Any) -> "Traced":
        return record("div", self, other)

    def __rtruediv__(self, other: Any) -> "Traced":
        return record("div", other, self)

    def __pow__(self, other: Any) -> "Traced":
        return power(self, other)

    def __rpow__(self, other: Any) -> "Traced":
        return power(other, self)

    def __neg__(self) -> "Traced":
        return record("neg", self)

    def __pos__(self) -> "Traced":
        return self

    def __abs__(self) -> "Traced":
        return record("abs", self)

    def __lt__(self, other: Any) -> "Traced":
        return record("lt", self, other)

    def __le__(self, other: Any) -> "Traced":
        return record("le", self, other)

    def __gt__(self, other: Any) -> "Traced":
        return record("lt", other, self)

    def __ge__(self, other: Any) -> "Traced":
        return record("le", other, self)

    def __eq__(self, other: Any) -> "Traced":
        return record("eq", self, other)

    def __ne__(self, other: Any) -> "Traced":
        return record("not", record("eq", self, other))

    def __and__(self, other: Any) -> "Traced":
        return masks("and", self, other)

    def __or__(self, other: Any) -> "Traced":
        return masks("or", self, other)

    def __invert__(self) -> "Traced":
        return masks("not", self)

    def detach_if(self, condition: bool) -> "Traced":
        """`self`, without its gradient if `condition`, which is a constant, so that both cases share a program."""
        return record("detachif", self, self._tracer.constant(float(condition)))

    def scale_if(self, condition: bool, factor: Any) -> "Traced":
        """`self`, times `factor` if `condition`; both cases share a program if the factor is a number."""
        if isinstance(factor, Traced):
            return self * factor if condition else self
        return record("mul", self, self._tracer.constant(factor if condition else 1.0))

    def fire(self, derivative: Callable[[Any], Any]) -> "Traced":
        """Θ(self), with the derivative that `derivative` (of a `Surrogate`) gives."""
        slope = derivative(self)
        return record("fire", self, slope)


class Tracer:
    """Records the operations of traced values: a graph, and the Python numbers in it in order."""

    def __init__(self) -> None:
        self.graph = Graph()
        self.constants: list[float] = []

    def leaf(self, operation: str, index: int = 0) -> Traced:
        return Traced(self, self.graph.leaf(operation, index))

    def literal(self, value: float) -> Traced:
        """A number that belongs to an operation itself and is in the program; `number` is for the user's numbers."""
        return Traced(self, self.graph.literal(value))

    def number(self, value: float) -> Traced:
        """A Python number of the step: a constant, so that neurons that differ in numbers share a program.

        Small whole numbers are literals, as in `1 - spike`.
        """
        if isinstance(value, int) and value in (-1, 0, 1, 2):
            return self.literal(value)
        return self.constant(value)

    def constant(self, value: float) -> Traced:
        """A number that is known when the program runs."""
        self.constants.append(float(value))
        return self.leaf("constant", len(self.constants) - 1)

    def as_number(self, value: Traced) -> int:
        """The place of a value in the graph, after a conversion to 0 and 1 if it is a mask."""
        return _operand(self, value)._place

    def kind(self, value: Traced) -> Kind:
        return self.graph.nodes[value._place].kind


OF_MASKS = {"add": "or", "mul": "and"}
ARITHMETIC: dict[str, Callable[..., Tensor]] = {
    "add": torch.add,
    "sub": torch.sub,
    "mul": torch.mul,
    "div": torch.true_divide,
}


def record(operation: str, *operands: Any) -> Traced:
    """One operation on numbers (or on one mask for "not"); masks among them count as 0 and 1.

    PyTorch's sum and product of two masks are masks.
    """
    tracer = _tracer(operands)
    if operation in OF_MASKS and all(isinstance(v, Traced) and tracer.kind(v) == "mask" for v in operands):
        return masks(OF_MASKS[operation], *operands)
    if operation in ARITHMETIC and (chosen := _mask_and_number(operation, *operands)) is not None:
        return chosen
    places = [_operand(tracer, value, mask=operation == "not") for value in operands]
    return Traced(tracer, tracer.graph.add(operation, *(place._place for place in places)))


def masks(operation: str, *operands: Any) -> Traced:
    """A logical operation on masks."""
    tracer = _tracer(operands)
    for value in operands:
        if not isinstance(value, Traced) or tracer.kind(value) != "mask":
            raise refusal("a logical operation on numbers", "compare first: (v > 0) & (x > 0)")
    return Traced(tracer, tracer.graph.add(operation, *(value._place for value in operands)))


def _mask_and_number(operation: str, a: Any, b: Any) -> Traced | None:
    """Arithmetic of a mask and a Python number, which PyTorch computes in its default dtype; None for other values."""
    mask, number = (a, b) if isinstance(a, Traced) else (b, a)
    if not isinstance(number, int | float) or mask._tracer.kind(mask) != "mask":
        return None
    both = torch.tensor([True, False])
    yes, no = ARITHMETIC[operation](*((both, b) if mask is a else (torch.tensor(a), both))).tolist()
    return choose(mask, yes, no)


def choose(condition: Any, yes: Any, no: Any) -> Traced:
    """torch.where."""
    tracer = _tracer((condition, yes, no))
    if not isinstance(condition, Traced) or tracer.kind(condition) != "mask":
        raise refusal("torch.where without a comparison of tensors as its condition", "use a Python if on constants")
    if isinstance(yes, int | float) and isinstance(no, int | float):
        yes, no = torch.tensor([yes, no]).tolist()  # in PyTorch's default dtype
    places = [_operand(tracer, value)._place for value in (yes, no)]
    return Traced(tracer, tracer.graph.add("where", condition._place, *places))


def _tracer(operands: Any) -> Tracer:
    return next(value._tracer for value in operands if isinstance(value, Traced))


def _operand(tracer: Tracer, value: Any, mask: bool = False) -> Traced:
    if isinstance(value, Traced):
        if mask or tracer.kind(value) == "number":
            return value
        one, zero = tracer.literal(1), tracer.literal(0)
        return Traced(tracer, tracer.graph.add("where", value._place, one._place, zero._place))
    if isinstance(value, bool | int | float):
        return tracer.number(value)
    if isinstance(value, Tensor):
        raise refusal(
            "a tensor that is not an argument of step",
            "declare a parameter in `learnable` and take it as an argument, or keep a number in a plain attribute",
        )
    raise refusal(f"{type(value).__name__} {value!r} instead of a tensor or number", ADVICE)


ADVICE = (
    "a step uses element-wise operations of its arguments only: arithmetic, comparisons, torch.where, minimum, "
    "maximum, clamp, abs, sign, exp, log, sqrt, pow, tanh, sigmoid, relu, softplus, erf, floor, round"
)


def power(base: Any, exponent: Any) -> Traced:
    """base ** exponent; small whole and half exponents without libm, as PyTorch computes them."""
    if isinstance(exponent, int | float) and isinstance(base, Traced):
        one = base._tracer.literal(1)
        known: dict[float, Callable[[], Any]] = {
            1.0: lambda: base * one,
            2.0: lambda: base * base,
            3.0: lambda: base * base * base,
            0.5: lambda: record("sqrt", base),
            -1.0: lambda: one / base,
            -2.0: lambda: one / (base * base),
            -0.5: lambda: one / record("sqrt", base),
        }
        if float(exponent) in known:
            return known[float(exponent)]()
    return record("pow", base, exponent)


def _unary(operation: str) -> Callable[..., Traced]:
    return lambda x: record(operation, x)


def _binary(operation: str) -> Callable[..., Traced]:
    def compute(a: Any, b: Any, *, alpha: Any = 1) -> Traced:
        if alpha != 1:
            b = record("mul", b, alpha) if isinstance(b, Traced) else b * alpha
        return record(operation, a, b)

    return compute


def _relu(x: Traced, inplace: bool = False) -> Traced:
    if inplace:
        raise refusal("relu in place", "leave out inplace=True")
    return choose(x <= x._tracer.literal(0), x._tracer.literal(0), x)


def _sign(x: Traced) -> Traced:
    zero = x._tracer.literal(0)
    return record("sub", x > zero, x < zero)


def _clamp(x: Traced, min: Any = None, max: Any = None) -> Traced:
    """Derivative 1 at the bounds, as PyTorch's."""
    if min is not None:
        x = choose(x < min, min, x)
    if max is not None:
        x = choose(x > max, max, x)
    return x


def _softplus(x: Traced, beta: float = 1, threshold: float = 20) -> Traced:
    if beta == 1 and threshold == 20:
        return record("softplus", x)
    scaled = x * beta
    return choose(scaled > threshold, x, record("softplus", scaled) / beta)


class _DtypeOf:
    """The dtype of a traced value, which is known only when the program runs."""

    def __eq__(self, _: object) -> bool:
        raise refusal(
            "a branch on the dtype", "a kernel of one step serves all dtypes; write the same operations for each"
        )


def _cast(x: Traced, *args: Any, **kwargs: Any) -> Traced:
    """x.to(other.dtype): a mask becomes a number, and a number does not change."""
    if len(args) == 1 and not kwargs and isinstance(args[0], Traced | _DtypeOf):
        return _operand(x._tracer, x)
    raise refusal("a cast", "a step computes in the dtype of its arguments; leave it out, or write mask.to(x.dtype)")


def _full(value: float) -> Callable[..., Traced]:
    return lambda x: x._tracer.literal(value)


def _full_like(x: Traced, fill_value: float) -> Traced:
    return x._tracer.number(fill_value)


def _random(*_: Any, **__: Any) -> NoReturn:
    raise refusal("a random draw", "kernels draw no random numbers; the neuron runs in the loop")


METHODS: dict[str, Callable[..., Any]] = {
    **{name: _unary(name) for name in ("neg", "abs", "floor", "round", "sqrt", "exp", "log", "tanh", "sigmoid", "erf")},
    **{name: _binary(name) for name in ("add", "sub", "mul", "div", "maximum", "minimum")},
    "multiply": _binary("mul"),
    "subtract": _binary("sub"),
    "divide": _binary("div"),
    "true_divide": _binary("div"),
    "negative": _unary("neg"),
    "absolute": _unary("abs"),
    "relu": _relu,
    "sign": _sign,
    "square": lambda x: x * x,
    "reciprocal": lambda x: x._tracer.literal(1) / x,
    "rsqrt": lambda x: x._tracer.literal(1) / record("sqrt", x),
    "pow": power,
    "clamp": _clamp,
    "clip": _clamp,
    "clamp_min": lambda x, min: _clamp(x, min),
    "clamp_max": lambda x, max: _clamp(x, None, max),
    "softplus": _softplus,
    "where": lambda x, condition, other: choose(condition, x, other),
    "detach": lambda x: record("detach", x),
    **dict.fromkeys(("to", "float", "double", "half", "bfloat16", "int", "long", "bool"), _cast),
    "type_as": _cast,
    "lt": lambda a, b: a < b,
    "le": lambda a, b: a <= b,
    "gt": lambda a, b: a > b,
    "ge": lambda a, b: a >= b,
    "eq": lambda a, b: a == b,
    "ne": lambda a, b: a != b,
    "less": lambda a, b: a < b,
    "less_equal": lambda a, b: a <= b,
    "greater": lambda a, b: a > b,
    "greater_equal": lambda a, b: a >= b,
    "not_equal": lambda a, b: a != b,
    "logical_and": lambda a, b: masks("and", a, b),
    "logical_or": lambda a, b: masks("or", a, b),
    "logical_not": lambda a: masks("not", a),
}
"""The operations of a traced value by the name of the tensor's method."""

FUNCTIONS: dict[Any, Callable[..., Any]] = {
    **{getattr(torch, name): do for name, do in METHODS.items() if hasattr(torch, name)},
    **{getattr(Tensor, name): do for name, do in METHODS.items() if hasattr(Tensor, name)},
    torch.where: choose,  # in a different order than the method
    torch.zeros_like: _full(0),
    torch.ones_like: _full(1),
    torch.full_like: _full_like,
    torch.special.expit: _unary("sigmoid"),
    functional.relu: _relu,
    functional.sigmoid: _unary("sigmoid"),
    functional.tanh: _unary("tanh"),
    functional.softplus: _softplus,
    **dict.fromkeys((torch.rand_like, torch.randn_like, torch.randint_like, torch.bernoulli, torch.dropout), _random),
    functional.dropout: _random,
}


def call(function: Any, args: Any, kwargs: Any) -> Any:
    """One of PyTorch's functions on traced values. Raises `TraceError` for a function that kernels do not have."""
    values = (*args, *kwargs.values())
    if foreign := [value for value in values if isinstance(value, Tensor)]:
        _operand(_tracer(values), foreign[0])
    do = FUNCTIONS.get(function)
    if do is None:
        name = getattr(function, "__name__", str(function))
        raise refusal(f"a kernel has no {name}", ADVICE)
    if "out" in kwargs:
        raise refusal("an operation with out=", "write v = ... with a new value")
    kwargs = {"x" if name == "input" else "b" if name == "other" else name: value for name, value in kwargs.items()}
    try:
        return do(*args, **kwargs)
    except TypeError as error:
        raise refusal(f"{getattr(function, '__name__', function)} with these arguments", ADVICE) from error
