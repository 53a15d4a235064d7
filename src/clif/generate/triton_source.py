"""A program as Triton: the functions of its steps, and the kernels that run them over a whole sequence.

Every kind of step becomes `record` (forward, with the values that the backward pass needs) and `retreat` (backward).
The forward pass alone has one function, `advance`, for any step. The first step from rest has no functions of its own,
because whether a state is 0 is known only on the device. The compiler drops values that nothing reads.

A program of the grid takes a block of neurons [BLOCK] through all T steps. With `STEPS` the loops are unrolled to that
many steps, else they run to the argument `T`. An unrolled program reads all its input before it writes (the compiler
may not move a read ahead of a write), and its backward pass keeps the values of all steps in registers; a looped one
writes them to a scratch. An argument that is not needed is None. With `LIGHT_END`, no gradient comes from the last
states.

With `scale` a batch norm comes first. The channels, `channels` of them, are adjacent in memory, and the neuron's input
at step t and channel c is x·scale[t, c] + shift[t, c]. The backward pass then goes over its input in rows of `row`
elements, a whole number of pixels: a program takes the same columns of every row, so that each of its lanes has a
single channel, and adds up the gradients and their products with x − mean in `sums` [T, 2, row].
"""

import re
from typing import NamedTuple

from clif.generate.lower import IN_MEMORY, Step, Steps, is_uniform, lower, used_backward
from clif.generate.program import Program, needed
from clif.generate.triton_body import Body, Function, Uniforms

IMPORTS = """
import triton
import triton.language as tl

from clif.ops.triton_functions import exponential, hyperbolic_tangent, logarithm, nearest, power, softplus
from clif.ops.triton_functions import channel_of, place_in_row, read, spread


@triton.jit
def normalised(x, scale, shift, step, channels, channel):
    if scale is not None:
        x = x * tl.load(scale + step * channels + channel) + tl.load(shift + step * channels + channel)
    return x
"""

FORWARD = """
@triton.jit
def forward(
    x, scale, shift, size, x_stride, channels, T, spike,
    {parameters},
    STEPS: tl.constexpr, BLOCK: tl.constexpr, WIDE: tl.constexpr,
):
    first = tl.program_id(0).to(tl.int64) * BLOCK
    channel = channel_of(first, BLOCK, channels) if scale is not None else 0
    at = first + tl.arange(0, BLOCK)
    inside = at < size
    far = tl.cast(x_stride, tl.int64)
    wide = tl.cast(size, tl.int64)
    zero = tl.zeros([BLOCK], tl.float32)
    {load}
    if STEPS > 0:
        xs = ()
        for step in tl.static_range(STEPS):
            xs = xs + (normalised(read(x, step, far, at, inside), scale, shift, step, channels, channel),)
        for step in tl.static_range(STEPS):
            {advance_unrolled}
            tl.store(spike + step * wide + at, s, inside)
    else:
        for step in range(T):
            x_now = normalised(read(x, step, far, at, inside), scale, shift, step, channels, channel)
            {advance_looped}
            tl.store(spike + step * wide + at, s, inside)
    {store}
"""

BACKWARD_UNROLLED = """
@triton.jit
def backward_unrolled(
    x, scale, shift, size, x_stride, channels, mean, sums, row, d_spikes, d_spike_stride, dx,
    {parameters},
    STEPS: tl.constexpr, BLOCK: tl.constexpr, WIDE: tl.constexpr, LIGHT_END: tl.constexpr,
):
    far = tl.cast(x_stride, tl.int64)
    d_far = tl.cast(d_spike_stride, tl.int64)
    wide = tl.cast(size, tl.int64)
    first = tl.program_id(0).to(tl.int64) * BLOCK
    column = first + tl.arange(0, BLOCK)
    zero = tl.zeros([BLOCK], tl.float32)
    totals = ()
    for _i in tl.static_range(2 * STEPS if scale is not None else 0):
        totals = totals + (zero,)
    for row_index in (range if scale is not None else tl.static_range)(tl.cdiv(size, row) if scale is not None else 1):
        start = row_index * tl.cast(row, tl.int64)
        channel = channel_of(start + first, BLOCK, channels) if scale is not None else 0
        at = start + column
        inside = (at < size) & (column < row) if scale is not None else at < size
        {load}
        xs = ()
        d_spike_seq = ()
        distances = ()
        for step in tl.static_range(STEPS):
            x_read = read(x, step, far, at, inside)
            xs = xs + (normalised(x_read, scale, shift, step, channels, channel),)
            if scale is not None:
                distances = distances + (x_read - tl.load(mean + step * channels + channel),)
            d_spike_seq = d_spike_seq + (read(d_spikes, step, d_far, at, inside) if d_spikes is not None else zero,)
        {no_tape}
        for step in tl.static_range(STEPS - LIGHT_END):
            {record}

        {load_gradients}
        grown = ()
        if LIGHT_END:
            {retreat_last}
            {add}
            tl.store(dx + (STEPS - 1) * wide + at, d_x, inside)
            if scale is not None:
                grown = (totals[2 * STEPS - 2] + d_x, totals[2 * STEPS - 1] + d_x * distances[STEPS - 1])
        for step in tl.static_range(STEPS - 1 - LIGHT_END, -1, -1):
            {retreat}
            {add}
            tl.store(dx + step * wide + at, d_x, inside)
            if scale is not None:
                grown = (totals[2 * step] + d_x, totals[2 * step + 1] + d_x * distances[step]) + grown
        totals = grown
        {store_gradients}
    for i in tl.static_range(2 * STEPS if scale is not None else 0):
        tl.store(sums + i * row + column, totals[i], column < row)
"""

BACKWARD_LOOPED = """
@triton.jit
def add_to_sums(sums, step, row, column, inside, d_x, distance):
    total = sums + 2 * step * row + column
    tl.store(total, tl.load(total, inside, 0.0) + d_x, inside)
    tl.store(total + row, tl.load(total + row, inside, 0.0) + d_x * distance, inside)


@triton.jit
def backward_looped(
    x, scale, shift, size, x_stride, channels, mean, sums, row, d_spikes, d_spike_stride, dx, T, scratch,
    {parameters},
    BLOCK: tl.constexpr, WIDE: tl.constexpr, LIGHT_END: tl.constexpr,
):
    far = tl.cast(x_stride, tl.int64)
    d_far = tl.cast(d_spike_stride, tl.int64)
    wide = tl.cast(size, tl.int64)
    lane = tl.arange(0, BLOCK)
    program = tl.program_id(0).to(tl.int64)
    first = program * BLOCK
    column = first + lane
    zero = tl.zeros([BLOCK], tl.float32)
    channel = channel_of(first, BLOCK, channels) if scale is not None else 0
    tape = scratch + program * T * {planes} * BLOCK + lane if scratch is not None else lane
    for row_index in range(tl.cdiv(size, row)):
        start = row_index * tl.cast(row, tl.int64)
        at = start + column
        inside = (at < size) & (column < row)
        {load}
        for step_index in range(T - LIGHT_END):
            step = tl.cast(step_index, tl.int64)
            x_now = normalised(read(x, step, far, at, inside), scale, shift, step, channels, channel)
            {record}
            {store_tape}
        tl.debug_barrier()

        {load_gradients}
        if LIGHT_END:
            step = tl.cast(T - 1, tl.int64)
            x_read = read(x, step, far, at, inside)
            x_now = normalised(x_read, scale, shift, step, channels, channel)
            d_spike = read(d_spikes, step, d_far, at, inside) if d_spikes is not None else zero
            {retreat_last}
            {add}
            tl.store(dx + step * wide + at, d_x, inside)
            if scale is not None:
                add_to_sums(sums, step, row, column, inside, d_x, x_read - tl.load(mean + step * channels + channel))
        for back in range(LIGHT_END, T):
            step = tl.cast(T - 1 - back, tl.int64)
            x_read = read(x, step, far, at, inside)
            x_now = normalised(x_read, scale, shift, step, channels, channel)
            d_spike = read(d_spikes, step, d_far, at, inside) if d_spikes is not None else zero
            {load_tape}
            {retreat}
            {add}
            tl.store(dx + step * wide + at, d_x, inside)
            if scale is not None:
                add_to_sums(sums, step, row, column, inside, d_x, x_read - tl.load(mean + step * channels + channel))
        {store_gradients}
        tl.debug_barrier()
"""


class Source(NamedTuple):
    """A module's text, the numbers among the arguments of its kernels, and how many values a step keeps for backward.

    `planes` counts the values on the tape; `live` counts those that would be kept if none were computed again.
    """

    text: str
    uniforms: Uniforms
    planes: int
    live: int


def source(program: Program) -> Source:
    """The kernels of a program."""
    steps = lower(program, IN_MEMORY)
    writer = _Writer(program, steps["Any"], steps["Last"])
    comment = "\n".join(f"# {line}" for line in program.text.split("\n"))
    return Source(f"{comment}\n{writer.text()}", writer.uniforms, len(steps["Any"].kept), _live(steps["Any"]))


def _live(steps: Steps) -> int:
    nodes = steps.backward.nodes
    used = used_backward(nodes, list(steps.backward.results.values()))
    return sum(not is_uniform(nodes, i) and nodes[i].operation != "coefficient" for i in used)


class _Writer:
    """Writes the module of a program: `usual` are its steps, `last` is the last one if no gradient comes from it."""

    def __init__(self, program: Program, usual: Steps, last: Steps) -> None:
        self.states = range(len(program.rests_at_zero))
        self.by_channel = program.by_channel
        self.uniforms = Uniforms()
        self.kept = [f"kept{i}" for i in range(len(usual.kept))]
        self.advance = self._body(usual, usual.forward).function("advance", usual.forward.results.values())
        self.record, self.retreat = self._functions("usual", usual)
        self.record_last, self.retreat_last = self._functions("last", last)

    def _functions(self, kind: str, steps: Steps) -> tuple[Function, Function]:
        kept = {place: f"kept{plane}" for plane, place in enumerate(steps.kept)}
        return (
            self._body(steps, steps.recorded).function(f"record_{kind}", steps.recorded.results.values()),
            self._body(steps, steps.backward, kept).function(f"retreat_{kind}", steps.backward.results.values()),
        )

    def _body(self, steps: Steps, step: Step, kept: dict[int, str] | None = None) -> Body:
        layer = {i for i, channel in enumerate(self.by_channel) if not channel}
        exact = needed(steps.forward.nodes, steps.forward.results.values())
        return Body(step, self.uniforms, layer, frozenset(exact), kept or {})

    def text(self) -> str:
        functions = (self.advance, self.record, self.retreat, self.record_last, self.retreat_last)
        texts = [function.text for function in functions if function.results]
        return "\n".join([IMPORTS, *(f"\n{text}" for text in (*texts, *self._kernels()))])

    def _kernels(self) -> list[str]:
        now = [f"s{i}" for i in self.states]
        unrolled = {"x": "xs[step]", "d_spike": "d_spike_seq[step]"}
        at_end = {"x": "xs[STEPS - 1]", "d_spike": "d_spike_seq[STEPS - 1]"}
        looped = {"x": "x_now"}
        sequences = {name: f"{name}_seq[step]" for name in self.kept}
        scratch = [f"tape + (step * {len(self.kept)} + {i}) * BLOCK" for i in range(len(self.kept))]
        backward = {
            "parameters": self._backward_parameters(),
            "load": self._loads("start + first"),
            "load_gradients": self._gradient_loads(),
            "add": [f"total{i} += g{i}" for i in range(len(self.by_channel))],
            "store_gradients": self._gradient_stores(),
        }
        return [
            _filled(
                FORWARD,
                parameters=[*self._inputs(), *(f"last{i}" for i in self.states), *self.uniforms.names],
                load=self._loads("first"),
                advance_unrolled=self.advance.call(["s", *now], unrolled),
                advance_looped=self.advance.call(["s", *now], looped),
                store=[line for i in self.states for line in _store_if_wanted(f"last{i}", f"s{i}")],
            ),
            _filled(
                BACKWARD_UNROLLED,
                no_tape=[f"{name}_seq = ()" for name in self.kept],
                record=[
                    *self.record.call([*now, *self.kept], unrolled),
                    *(f"{name}_seq = {name}_seq + ({name},)" for name in self.kept),
                ],
                retreat_last=self._last(at_end),
                retreat=self.retreat.call(self._results(), unrolled | sequences),
                **backward,
            ),
            _filled(
                BACKWARD_LOOPED,
                planes=[str(len(self.kept))],
                record=self.record.call([*now, *self.kept], looped),
                store_tape=[f"tl.store({at}, {name})" for at, name in zip(scratch, self.kept, strict=True)],
                load_tape=[f"{name} = tl.load({at})" for at, name in zip(scratch, self.kept, strict=True)],
                retreat_last=self._last(looped),
                retreat=self.retreat.call(self._results(), looped),
                **backward,
            ),
        ]

    def _last(self, arguments: dict[str, str]) -> list[str]:
        """The last step forward and back."""
        kept = [f"kept{i}" for i in range(self.record_last.results)]
        return self.record_last.call(kept, arguments) + self.retreat_last.call(self._results(), arguments)

    def _results(self) -> list[str]:
        return ["d_x", *(f"d{i}" for i in self.states), *(f"g{i}" for i in range(len(self.by_channel)))]

    def _inputs(self) -> list[str]:
        names = [name for i in self.states for name in (f"state{i}", f"stride{i}")]
        for i, channel in enumerate(self.by_channel):
            names += [f"coefficient{i}", *([f"period{i}"] if channel else [])]
        return names

    def _backward_parameters(self) -> list[str]:
        gradients = [f"{name}{i}" for name in ("d_last", "d_state") for i in self.states]
        gradients += [f"d_coefficient{i}" for i in range(len(self.by_channel))]
        return [*self._inputs(), *gradients, *self.uniforms.names]

    def _loads(self, first: str) -> list[str]:
        """The states and coefficients of a block that begins at `first`."""
        lines = [f"s{i} = tl.load(state{i} + at * stride{i}, inside, 0.0)" for i in self.states]
        for i, channel in enumerate(self.by_channel):
            place = f" + place_in_row({first}, BLOCK, period{i}, WIDE)" if channel else ""
            lines.append(f"k{i} = tl.load(coefficient{i}{place})")
        return lines

    def _gradient_loads(self) -> list[str]:
        return [
            *(f"d{i} = tl.load(d_last{i} + at, inside, 0.0) if d_last{i} is not None else zero" for i in self.states),
            *(f"total{i} = zero" for i in range(len(self.by_channel))),
        ]

    def _gradient_stores(self) -> list[str]:
        return [
            *(line for i in self.states for line in _store_if_wanted(f"d_state{i}", f"d{i}")),
            *(f"tl.store(d_coefficient{i} + at, total{i}, inside)" for i in range(len(self.by_channel))),
        ]


def _store_if_wanted(pointer: str, value: str) -> list[str]:
    return [f"if {pointer} is not None:", f"    tl.store({pointer} + at, {value}, inside)"]


_SLOT = re.compile(r"( *)\{(\w+)\}")


def _filled(template: str, **parts: list[str]) -> str:
    """A template with its slots filled: with the lines of a part if a line is only a slot, else with a list of them."""
    lines: list[str] = []
    for line in template.strip("\n").split("\n"):
        slot = _SLOT.fullmatch(line)
        if slot is None:
            lines.append(line.format(**{name: ", ".join(part) for name, part in parts.items()}))
        else:
            lines += [slot[1] + text for text in parts[slot[2]]]
    return "\n".join(lines) + "\n"
