"""The choice of the values of a step to keep for the backward pass; the others are recomputed.

A minimum cut decides: keeping a value has a price, and recomputing it costs its operation and its arguments that are
not available.
"""

import math
from collections import defaultdict, deque
from collections.abc import Callable, Iterable, Sequence

from clif.generate.program import Node


def choose_kept(
    nodes: Sequence[Node],
    wanted: Iterable[int],
    cost: Callable[[int], float],
    can_keep: Callable[[int], bool],
    price: float,
) -> set[int]:
    """Which values to keep, each at a `price`, so that all of `wanted` are available at the least cost.

    `cost(i)` is that of computing value i again: infinite if it cannot be, 0 if it is available anyway.
    """
    flow = _Network()
    stack, seen = list(wanted), set()
    for i in stack:
        flow.connect("source", ("wanted", i), math.inf)
    while stack:
        i = stack.pop()
        if i in seen or cost(i) == 0:
            continue
        seen.add(i)
        flow.connect(("wanted", i), ("computed", i), price if can_keep(i) else math.inf)
        flow.connect(("computed", i), "sink", cost(i))
        for j in nodes[i].arguments:
            if cost(j) > 0:
                flow.connect(("computed", i), ("wanted", j), math.inf)
                stack.append(j)
    side = flow.source_side()
    return {i for i in seen if ("wanted", i) in side and ("computed", i) not in side}


class _Network:
    """A flow network with the few edges of a step's graph."""

    def __init__(self) -> None:
        self.capacity: dict[object, dict[object, float]] = defaultdict(lambda: defaultdict(float))

    def connect(self, start: object, end: object, capacity: float) -> None:
        self.capacity[start][end] += capacity
        self.capacity[end][start] += 0.0

    def source_side(self) -> set[object]:
        """The nodes on the source's side of a minimum cut."""
        while True:
            before = self._search()
            if "sink" not in before:
                return set(before)
            path: list[tuple[object, object]] = []
            place: object = "sink"
            while before[place] is not None:
                path.append((before[place], place))
                place = before[place]
            room = min(self.capacity[start][end] for start, end in path)
            for start, end in path:
                self.capacity[start][end] -= room
                self.capacity[end][start] += room

    def _search(self) -> dict[object, object]:
        before: dict[object, object] = {"source": None}
        waiting: deque[object] = deque(["source"])
        while waiting:
            start = waiting.popleft()
            for end, room in self.capacity[start].items():
                if room > 0 and end not in before:
                    before[end] = start
                    waiting.append(end)
        return before
