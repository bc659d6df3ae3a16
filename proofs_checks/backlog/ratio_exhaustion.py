r"""The largest ratio TEL(rule) / OPT over all backlogs of one size, exactly.

Every backlog of n requests under M tokens is listed once up to the numbering of its requests
(`kurtz.fluid.backlog.SmallBacklogs`); for FCFS all n! orders of arrival are tried. A backlog is
solved only if the rule's latency over a closed-form lower bound on OPT exceeds the largest ratio
found before; that leaves the maximum exact.

The lower bound is the best of the sum of the outputs, the volume bound and the mean busy time bound
of `kurtz.theory.backlog`, for many backlogs at once, all in integers.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from itertools import combinations_with_replacement, islice, permutations

import numpy as np

from ...fluid.backlog import SmallBacklogs, optimal_latencies
from ...theory.backlog import Backlog
from ...theory.backlog.model import Integers
from .instances import arrays
from .ratio_records import HUNTED_RULES

_IN_ANY_ORDER = {2: 16, 3: 12, 4: 9, 5: 7, 6: 6, 7: 5}

MOST_MEMORY: dict[str, dict[int, int]] = {
    **dict.fromkeys(HUNTED_RULES, _IN_ANY_ORDER),
    "fcfs": {2: 16, 3: 12, 4: 8, 5: 6},
}
"""Memory up to which all backlogs of so many requests are looked at, by rule."""

_CHUNK = 100_000
_SOLVED_TOGETHER = 64
_FRACTION_BITS = 20


@dataclass(frozen=True)
class LargestRatio:
    """The largest ratio over all backlogs of a size, and a backlog that attains it."""

    backlog: Backlog
    ratio: Fraction
    backlogs: int
    solved: int


def largest_ratio(rule: str, requests: int, memory: int) -> LargestRatio:
    """The largest TEL(``rule``) / OPT over all backlogs of the size."""
    latency, best = 0, 1
    attained: Backlog | None = None
    backlogs = solved = 0
    for listed in _all_in_chunks(requests, memory):
        backlogs += len(listed)
        latencies = rule_latencies(listed, rule)
        bounds = lower_bounds(listed)
        places = np.flatnonzero(latencies * best > latency * bounds)
        places = places[np.argsort(-latencies[places] / bounds[places], kind="stable")]
        for first in range(0, len(places), _SOLVED_TOGETHER):
            some = places[first : first + _SOLVED_TOGETHER]
            some = some[latencies[some] * best > latency * bounds[some]]
            if not len(some):
                break
            solved += len(some)
            optima = optimal_latencies(*(values[some] for values in arrays(listed)))
            for place, optimal in zip(some.tolist(), optima.tolist(), strict=True):
                if latencies[place] * best > latency * optimal:
                    latency, best = int(latencies[place]), optimal
                    attained = worst_order(listed[place], rule)
    assert attained is not None
    return LargestRatio(attained, Fraction(latency, best), backlogs, solved)


def rule_latencies(listed: SmallBacklogs, rule: str) -> Integers:
    """TEL of ``rule``, shape (k,); for FCFS the largest over all orders of arrival."""
    if rule != "fcfs":
        return latencies_as_numbered(listed, rule)
    latencies = np.zeros(len(listed), dtype=np.int64)
    for order in permutations(range(listed.outputs.shape[1])):
        keys = np.broadcast_to(np.array(order, dtype=np.int64), listed.outputs.shape)
        np.maximum(latencies, listed.by(np.ascontiguousarray(keys)), out=latencies)
    return latencies


def latencies_as_numbered(listed: SmallBacklogs, rule: str) -> Integers:
    """TEL of ``rule``, shape (k,), with requests that arrive in the order of their numbers."""
    if rule == "sorted-f":
        return listed.sorted_f("peak-sum")
    if rule == "sorted-f-common-start":
        return listed.sorted_f("common-start")
    keys = {
        "smallest-volume": listed.volumes,
        "shortest-output": listed.outputs,
        "shortest-total": listed.prompts + listed.outputs,
        "fcfs": np.zeros_like(listed.outputs),
    }
    return listed.by(keys[rule])


def worst_order(backlog: Backlog, rule: str) -> Backlog:
    """``backlog``, for FCFS in an order of arrival in which it takes longest."""
    if rule != "fcfs":
        return backlog
    orders = list(permutations(backlog.requests))
    pairs = np.array([[(r.prompt_tokens, r.output_tokens) for r in order] for order in orders])
    listed = small_backlogs(pairs, np.full(len(orders), backlog.memory))
    return listed[int(np.argmax(latencies_as_numbered(listed, rule)))]


def lower_bounds(listed: SmallBacklogs) -> Integers:
    """Lower bounds on OPT, shape (k,): the best of the closed forms, rounded up."""
    outputs, memories = listed.outputs, listed.memories[:, None]
    by_outputs = outputs.sum(axis=1)
    order = np.argsort(listed.volumes, axis=1, kind="stable")
    volumes = np.take_along_axis(listed.volumes, order, axis=1)
    poured = np.cumsum(volumes, axis=1)
    by_volumes = -(-poured.sum(axis=1) // listed.memories)

    full, rest = np.divmod(poured, memories)
    steps = memories * full * (full + 1) // 2 + rest * (full + 1)
    steps[:, 1:] -= steps[:, :-1].copy()
    first_moments = (
        listed.prompts * outputs * (outputs + 1) // 2
        + outputs * (outputs + 1) * (2 * outputs + 1) // 6
    )
    # Rounded in the direction that keeps the sum a lower bound.
    busy = (steps << _FRACTION_BITS) // volumes
    shapes = -(-(first_moments << _FRACTION_BITS) // listed.volumes)
    scaled = busy.sum(axis=1) - shapes.sum(axis=1)
    by_busy_times = by_outputs - (-scaled >> _FRACTION_BITS)
    bounds: Integers = np.maximum(np.maximum(by_outputs, by_volumes), by_busy_times)
    return bounds


def small_backlogs(pairs: Integers, memories: Integers) -> SmallBacklogs:
    """Backlogs from (prompt, output) ``pairs`` of shape (k, n, 2) and ``memories``, shape (k,)."""
    prompts, outputs = (np.ascontiguousarray(pairs[:, :, place], np.int64) for place in (0, 1))
    return SmallBacklogs(prompts, outputs, np.ascontiguousarray(memories, np.int64))


def _all_in_chunks(requests: int, memory: int) -> Iterator[SmallBacklogs]:
    """`SmallBacklogs.all_of` in the same order, some at a time."""
    kinds = [
        (prompt, output) for output in range(1, memory + 1) for prompt in range(memory - output + 1)
    ]
    lengths = np.array(kinds, dtype=np.int64)
    listed = combinations_with_replacement(range(len(kinds)), requests)
    while chunk := list(islice(listed, _CHUNK)):
        yield small_backlogs(lengths[np.array(chunk)], np.full(len(chunk), memory))
