"""Where the steps of a history stand in a picture: columns by what they need, lanes so that no line meets a box."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sid_xarray.core.calls import Call

__all__ = ["Edge", "Node", "in_columns", "in_rows"]


@dataclass(frozen=True)
class Node:
    """A call, its column (or row) and its lane across."""

    call: Call
    layer: int
    lane: int


@dataclass(frozen=True)
class Edge:
    """From a node to one that uses its result, by position in the list of nodes.

    The line keeps the lane of its source until it stands before its target.
    """

    source: int
    target: int


def in_rows(calls: Sequence[Call]) -> tuple[list[Node], list[Edge]]:
    """Return nodes one below the other, in the order of the history."""
    edges = _edges(calls)
    return _laid(calls, edges, list(range(len(calls)))), edges


def in_columns(calls: Sequence[Call]) -> tuple[list[Node], list[Edge]]:
    """Return nodes from left to right: each right of all that it needs, roots just before what needs them."""
    edges = _edges(calls)
    layers = [0] * len(calls)
    for edge in edges:  # inputs come first in a history, so one pass will do
        layers[edge.target] = max(layers[edge.target], layers[edge.source] + 1)
    for i, call in enumerate(calls):
        users = [layers[edge.target] for edge in edges if edge.source == i] if call.step.is_root else []
        if users:
            layers[i] = min(users) - 1
    return _laid(calls, edges, layers), edges


def _edges(calls: Sequence[Call]) -> list[Edge]:
    maker = {step.id: i for i, call in enumerate(calls) for step in call.steps}
    found = {(maker[key], i): None for i, call in enumerate(calls) for _, key in call.step.inputs if key in maker}
    return [Edge(source, target) for source, target in found if source < target]


def _laid(calls: Sequence[Call], edges: Sequence[Edge], layers: Sequence[int]) -> list[Node]:
    last = list(layers)
    inputs: list[list[int]] = [[] for _ in calls]
    for edge in edges:
        last[edge.source] = max(last[edge.source], layers[edge.target])
        inputs[edge.target].append(edge.source)
    lanes = [0] * len(calls)
    busy: list[int] = []  # of every lane, the first layer where it is free again
    for i in sorted(range(len(calls)), key=lambda i: (layers[i], i)):
        here = layers[i]
        # Straight on from an input that nobody else waits for; else the first lane that is free.
        straight = [lanes[j] for j in inputs[i] if busy[lanes[j]] <= here]
        free = [lane for lane, until in enumerate(busy) if until <= here]
        lane = min(straight) if straight else free[0] if free else len(busy)
        if lane == len(busy):
            busy.append(0)
        busy[lane] = max(last[i], here + 1)
        lanes[i] = lane
    return [Node(call, layer, lane) for call, layer, lane in zip(calls, layers, lanes, strict=True)]
