"""Pickles of NumPy arrays by any version of Python and NumPy, read without executing any of their code.

Python's own unpickler, even one that looks up known names only, lets a file of a few bytes access any place in
memory, through the states of NumPy's types, and use any amount of it. So this one makes only values that it knows.
"""

import codecs
import io
import math
import pickle
import pickletools
import re
from collections.abc import Callable, Iterable, Iterator
from typing import Any, NoReturn

import numpy as np
from numpy.typing import NDArray

PLAIN_TYPE = re.compile(r"[<>=|]?[?biufcSU]\d{0,5}")
LATIN = ("latin1", "latin-1", "iso-8859-1")


def load_arrays(content: bytes) -> Any:
    """Dicts, lists, tuples, numbers, strings and NumPy arrays from a pickle; Python 2's strings as bytes.

    Raises `pickle.UnpicklingError` for a pickle that refers to anything else, and any exception for damaged content.
    """
    return _Machine(content).run()


class PickledType:
    """Replaces `numpy.dtype`, for numbers, booleans and strings; of the pickled state it takes only the byte order."""

    def __init__(self, spec: Any, _align: Any = False, _copy: Any = False) -> None:
        spec = spec.decode("latin1") if isinstance(spec, bytes) else spec
        self.is_object = spec in ("O", "O8")
        if not self.is_object and not (isinstance(spec, str) and PLAIN_TYPE.fullmatch(spec)):
            _refuse(f"a NumPy type {str(spec)[:40]!r}")
        self.dtype = np.dtype(object if self.is_object else spec)

    def __setstate__(self, state: Any) -> None:
        order: Any = state[1].decode("latin1") if isinstance(state[1], bytes) else state[1]
        if order not in ("<", ">", "=", "|"):
            _refuse(f"a byte order {str(order)[:40]!r}")
        if order != "|":
            self.dtype = self.dtype.newbyteorder(order)


class PickledArray(np.ndarray):
    """Replaces `numpy.ndarray`: filled by a pickled state of numbers, booleans, strings or other pickled values."""

    def __new__(cls, *_arguments: Any) -> "PickledArray":
        _refuse("an array without its values")

    def __setstate__(self, state: Any) -> None:
        _version, shape, kind, fortran, content = state if len(state) == 5 else (1, *state)
        values = _values(kind, content, shape)
        raw = content if kind.is_object else values.tobytes()
        super().__setstate__((1, shape, values.dtype, bool(fortran), raw))  # type: ignore[arg-type]

    def __reduce_ex__(self, protocol: Any) -> Any:
        return np.asarray(self).__reduce_ex__(protocol)


def _values(kind: Any, content: Any, shape: Any) -> NDArray:
    """The values of an array, in one dimension, whose number must agree with its shape."""
    if not isinstance(kind, PickledType) or not isinstance(shape, tuple):
        _refuse("an array without a type or a shape")
    if not all(isinstance(side, int) and side >= 0 for side in shape):
        _refuse("an array with a negative side")
    if isinstance(content, list) and kind.is_object:
        values = np.empty(len(content), object)
        for place, value in enumerate(content):
            values[place] = value
    elif isinstance(content, bytes | bytearray) and not kind.is_object:
        values = np.frombuffer(content, kind.dtype)
    else:
        _refuse("an array of another kind than its values")
    if math.prod(shape) != len(values):
        _refuse(f"an array of another shape than its {len(values)} values")
    return values


def _reconstruct(kind: Any, _shape: Any, _code: Any) -> NDArray:
    if kind is not PickledArray:
        _refuse("an array that is none")
    return np.ndarray.__new__(PickledArray, (0,), "u1")


def _scalar(kind: Any, content: Any) -> Any:
    return _values(kind, content, (1,))[0]


def _from_buffer(content: Any, kind: Any, shape: Any, order: Any) -> NDArray:
    return _values(kind, content, shape).reshape(shape, order=order)


def _encode(text: str, encoding: str) -> bytes:
    """Bytes in the form in which protocols 0 to 2 of Python 3 write them."""
    if encoding not in LATIN:
        _refuse(f"the encoding {str(encoding)[:40]!r}")
    return text.encode("latin1")


def _bytes(content: Any = b"", encoding: str = "latin1") -> bytes:
    if isinstance(content, str):
        return _encode(content, encoding)
    return bytes(content) if isinstance(content, bytes | bytearray) else _refuse("bytes of something else")


def _ordered(pairs: Iterable[Any] = ()) -> dict[Any, Any]:
    return _fill({}, [value for pair in pairs for value in pair])


def _refuse(what: str) -> NoReturn:
    raise pickle.UnpicklingError(f"it holds {what}")


NUMPY: dict[str, Any] = {
    "numpy.core.multiarray._reconstruct": _reconstruct,
    "numpy.core.multiarray.scalar": _scalar,
    "numpy._core.multiarray._reconstruct": _reconstruct,
    "numpy._core.multiarray.scalar": _scalar,
    "numpy.ndarray": PickledArray,
    "numpy.dtype": PickledType,
}
"""The replacements of NumPy's names in pickles, by the name of the module before and since version 2."""

LOOKUPS: dict[str, Any] = NUMPY | {
    "numpy.core.numeric._frombuffer": _from_buffer,
    "numpy._core.numeric._frombuffer": _from_buffer,
    "_codecs.encode": _encode,
    "collections.OrderedDict": _ordered,
    "__builtin__.bytes": _bytes,
    "__builtin__.bytearray": _bytes,
    "builtins.bytes": _bytes,
    "builtins.bytearray": _bytes,
}
"""All names that a pickle may look up."""


class _Machine:
    """The stack machine that executes a pickle, with only the operations that make plain values."""

    def __init__(self, content: bytes) -> None:
        self.file = io.BytesIO(content)
        self.stack: list[Any] = []
        self.marks: list[int] = []
        self.memo: dict[int, Any] = {}

    def run(self) -> Any:
        while (code := self.file.read(1)) != b".":
            if code not in OPERATIONS:
                raise pickle.UnpicklingError(f"it has the operation {code!r}, which a batch of images does not need")
            read, do = OPERATIONS[code]
            do(self, None if read is None else read(self.file))
        return self.pop()

    def push(self, value: Any) -> None:
        self.stack.append(value)

    def pop(self) -> Any:
        if len(self.stack) <= (self.marks[-1] if self.marks else 0):
            raise pickle.UnpicklingError("it takes more values than it has")
        return self.stack.pop()

    def mark(self, _: Any = None) -> None:
        self.marks.append(len(self.stack))

    def since_mark(self) -> list[Any]:
        start = self.marks.pop()
        values = self.stack[start:]
        del self.stack[start:]
        return values

    def put(self, place: int) -> None:
        self.memo[place] = self.stack[-1]

    def tuple(self, number: int) -> None:
        self.push(tuple([self.pop() for _ in range(number)][::-1]))

    def append(self, values: list[Any]) -> None:
        if not isinstance(self.stack[-1], list):
            _refuse(f"values for a {type(self.stack[-1]).__name__}")
        self.stack[-1].extend(values)

    def look_up(self, name: str) -> None:
        if name not in LOOKUPS:
            raise pickle.UnpicklingError(f"it refers to {name}, which a batch of images does not need")
        self.push(LOOKUPS[name])

    def call(self, _: Any) -> None:
        arguments, function = self.pop(), self.pop()
        if not any(function is known for known in LOOKUPS.values()) or not isinstance(arguments, tuple):
            _refuse("a call of a value")
        self.push(function(*arguments))

    def build(self, _: Any) -> None:
        state = self.pop()
        if not isinstance(self.stack[-1], PickledArray | PickledType) or not isinstance(state, tuple):
            _refuse(f"a state for a {type(self.stack[-1]).__name__}")
        self.stack[-1].__setstate__(state)


def _fill(target: Any, values: list[Any]) -> Any:
    """Add keys and values to a dict. Tuples are refused as keys, because hashing nested tuples can take for ever."""
    for key, value in zip(values[::2], values[1::2], strict=True):
        if not isinstance(key, str | bytes | int | float | None) or not isinstance(target, dict):
            _refuse(f"a {type(key).__name__} as a key")
        target[key] = value
    return target


def _line_in_quotes(file: Any) -> bytes:
    """A string of Python 2 in its oldest form."""
    return codecs.escape_decode(file.readline().strip()[1:-1])[0]


def _operations() -> Iterator[tuple[bytes, tuple[Callable[[Any], Any] | None, Callable[[_Machine, Any], object]]]]:
    """Each operation by its code: the function that reads its argument, and the operation itself."""
    value, memory = _Machine.push, _Machine.put
    known: dict[str, Callable[[_Machine, Any], object]] = {
        **dict.fromkeys(
            ["INT", "BININT", "BININT1", "BININT2", "LONG", "LONG1", "LONG4", "FLOAT", "BINFLOAT", "STRING"], value
        ),
        **dict.fromkeys(["UNICODE", "SHORT_BINUNICODE", "BINUNICODE", "BINUNICODE8"], value),
        **dict.fromkeys(["BINBYTES", "SHORT_BINBYTES", "BINBYTES8", "BYTEARRAY8"], value),
        **dict.fromkeys(("BINSTRING", "SHORT_BINSTRING"), lambda machine, text: machine.push(text.encode("latin1"))),
        **dict.fromkeys(("PUT", "BINPUT", "LONG_BINPUT"), memory),
        **dict.fromkeys(("GET", "BINGET", "LONG_BINGET"), lambda machine, place: machine.push(machine.memo[place])),
        **dict.fromkeys(("PROTO", "FRAME"), lambda _machine, _: None),
        "NONE": value,
        "NEWTRUE": lambda machine, _: machine.push(True),
        "NEWFALSE": lambda machine, _: machine.push(False),
        "EMPTY_LIST": lambda machine, _: machine.push([]),
        "EMPTY_DICT": lambda machine, _: machine.push({}),
        "EMPTY_TUPLE": lambda machine, _: machine.push(()),
        "MEMOIZE": lambda machine, _: machine.put(len(machine.memo)),
        "MARK": _Machine.mark,
        "POP": lambda machine, _: machine.pop(),
        "POP_MARK": lambda machine, _: machine.since_mark(),
        "DUP": lambda machine, _: machine.push(machine.stack[-1]),
        "TUPLE": lambda machine, _: machine.push(tuple(machine.since_mark())),
        "TUPLE1": lambda machine, _: machine.tuple(1),
        "TUPLE2": lambda machine, _: machine.tuple(2),
        "TUPLE3": lambda machine, _: machine.tuple(3),
        "LIST": lambda machine, _: machine.push(machine.since_mark()),
        "DICT": lambda machine, _: machine.push(_fill({}, machine.since_mark())),
        "APPEND": lambda machine, _: machine.append([machine.pop()]),
        "APPENDS": lambda machine, _: machine.append(machine.since_mark()),
        "SETITEM": lambda machine, _: _fill(machine.stack[-3], [machine.pop() for _ in range(2)][::-1]),
        "SETITEMS": lambda machine, _: _fill(machine.stack[machine.marks[-1] - 1], machine.since_mark()),
        "GLOBAL": lambda machine, name: machine.look_up(name.replace(" ", ".")),
        "STACK_GLOBAL": lambda machine, _: machine.look_up(".".join([machine.pop() for _ in range(2)][::-1])),
        "REDUCE": _Machine.call,
        "BUILD": _Machine.build,
    }
    for opcode in pickletools.opcodes:
        if opcode.name in known:
            read = None if opcode.arg is None else opcode.arg.reader
            yield (
                opcode.code.encode("latin1"),
                (_line_in_quotes if opcode.name == "STRING" else read, known[opcode.name]),
            )


OPERATIONS = dict(_operations())
