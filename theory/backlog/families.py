r"""Families of backlogs, one for every memory M, with a rule's schedule and a reference schedule.

A family is symbolic: groups of requests alike, whose lengths, numbers and start times are
expressions in M, in the number a of *large* requests and in the number b of *small* ones. Both
numbers are rounded down from expressions in M, :math:`a = \lfloor \sqrt M \rfloor` for example, so
there is a backlog for every M; at a *smooth* memory, such as :math:`M = 4 q^2`, nothing is rounded
and limits can be taken. Latencies are sums over the groups in closed form.

That the start times are those of the rule is what `Family.simulated_schedule` is for.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache, cached_property

import sympy

from ..errors import require_integer
from .listing import Blocked, list_schedule
from .model import Backlog, Request, Schedule, require_feasible

MEMORY = sympy.Symbol("M", integer=True, positive=True)
LARGE, SMALL = sympy.symbols("a b", integer=True, nonnegative=True)
"""Numbers of large and of small requests."""

PLACE = sympy.Symbol("j", integer=True, nonnegative=True)
"""Place of a request in its group, from 0."""

ROOT = sympy.Symbol("q", integer=True, positive=True)
"""What smooth memories are expressed in."""

ORDER_KEYS: Mapping[str, Callable[[Request], int]] = {
    "fcfs": lambda _: 0,
    "fcfs-skip": lambda _: 0,
    "shortest-output": lambda request: request.output_tokens,
    "shortest-total": lambda request: request.peak,
}
"""What a rule orders by, least first, ties in the order of arrival."""


@dataclass(frozen=True)
class Group:
    """Requests alike, and when they start by the rule and in the reference schedule.

    All are expressions in `MEMORY`, `LARGE` and `SMALL`, the two starts also in `PLACE`.
    """

    prompt: sympy.Expr
    output: sympy.Expr
    count: sympy.Expr
    start: sympy.Expr
    reference_start: sympy.Expr


@dataclass(frozen=True)
class Family:
    """A backlog for every memory from ``least_memory`` tokens on.

    Attributes
    ----------
    name
        What it consists of.
    rule
        One of `ORDER_KEYS`.
    groups
        The requests, in the order of arrival.
    large, small
        `LARGE` and `SMALL` in terms of `MEMORY`, with floors.
    smooth_memory
        A memory, in terms of `ROOT`, at which no floor rounds.
    least_memory
        Tokens from which on the rule's schedule is as stated.
    """

    name: str
    rule: str
    groups: tuple[Group, ...]
    large: sympy.Expr
    small: sympy.Expr
    smooth_memory: sympy.Expr
    least_memory: int

    def backlog(self, memory: int) -> Backlog:
        """The backlog with a budget of ``memory`` tokens."""
        numbers = self._numbers(memory)
        requests: list[Request] = []
        for group in self.groups:
            prompt, output, count = (
                _in_integers(each)(*numbers, 0)
                for each in (group.prompt, group.output, group.count)
            )
            requests += [Request(prompt, output)] * count
        return Backlog(tuple(requests), memory)

    def rule_schedule(self, memory: int) -> Schedule:
        """The rule's schedule as the groups state it; validated."""
        return self._schedule(memory, [group.start for group in self.groups])

    def reference_schedule(self, memory: int) -> Schedule:
        """The schedule that the rule's is compared with; validated."""
        return self._schedule(memory, [group.reference_start for group in self.groups])

    def simulated_schedule(self, memory: int) -> Schedule:
        """The rule's schedule by list scheduling."""
        backlog = self.backlog(memory)
        key = ORDER_KEYS[self.rule]
        order = sorted(range(len(backlog)), key=lambda i: key(backlog.requests[i]))
        blocked: Blocked = "skip" if self.rule.endswith("-skip") else "wait"
        return list_schedule(backlog, order, blocked=blocked)

    @cached_property
    def rule_latency(self) -> sympy.Expr:
        """Total latency of the rule's schedule, in `MEMORY`, `LARGE` and `SMALL`."""
        return self._latency([group.start for group in self.groups])

    @cached_property
    def reference_latency(self) -> sympy.Expr:
        """Total latency of the reference schedule, in `MEMORY`, `LARGE` and `SMALL`."""
        return self._latency([group.reference_start for group in self.groups])

    @cached_property
    def outputs(self) -> sympy.Expr:
        """Sum of all outputs, which no schedule's latency is below."""
        return sympy.expand(sum(group.count * group.output for group in self.groups))

    def value(self, expression: sympy.Expr, memory: int) -> sympy.Rational:
        """Exact value of ``expression`` (in `MEMORY`, `LARGE`, `SMALL`) at ``memory`` tokens."""
        symbols = (MEMORY, LARGE, SMALL)
        return sympy.Rational(expression.subs(zip(symbols, self._numbers(memory), strict=True)))

    def in_memory(self, expression: sympy.Expr) -> sympy.Expr:
        """``expression`` in terms of `MEMORY` alone, with floors."""
        return expression.subs({LARGE: self.large, SMALL: self.small})

    def at_smooth_memory(self, expression: sympy.Expr) -> sympy.Expr:
        """``expression`` at the smooth memories, in terms of `ROOT`, without floors."""
        return sympy.cancel(self.in_memory(expression).subs(MEMORY, self.smooth_memory))

    def limit(self, expression: sympy.Expr) -> sympy.Expr:
        """Limit of ``expression`` along the smooth memories."""
        return sympy.limit(self.at_smooth_memory(expression), ROOT, sympy.oo)

    def _numbers(self, memory: int) -> tuple[int, int, int]:
        require_integer("memory", memory, "tokens", at_least=self.least_memory)
        return memory, _count(self.large, memory), _count(self.small, memory)

    def _schedule(self, memory: int, starts: list[sympy.Expr]) -> Schedule:
        numbers = self._numbers(memory)
        times: list[int] = []
        for group, start in zip(self.groups, starts, strict=True):
            count = _in_integers(group.count)(*numbers, 0)
            times += [_in_integers(start)(*numbers, place) for place in range(count)]
        schedule = Schedule(tuple(times))
        require_feasible(self.backlog(memory), schedule)
        return schedule

    def _latency(self, starts: list[sympy.Expr]) -> sympy.Expr:
        return sympy.expand(
            sum(
                sympy.summation(start + group.output, (PLACE, 0, group.count - 1))
                for group, start in zip(self.groups, starts, strict=True)
            )
        )


@cache
def _in_integers(polynomial: sympy.Expr) -> Callable[[int, int, int, int], int]:
    """``polynomial`` with integer coefficients as a function of `MEMORY` ... `PLACE`."""
    function: Callable[[int, int, int, int], int] = sympy.lambdify(
        (MEMORY, LARGE, SMALL, PLACE), polynomial, modules=[]
    )
    return function


@cache
def _count(expression: sympy.Expr, memory: int) -> int:
    """Exact value of an expression in `MEMORY` with floors; SymPy takes milliseconds for it."""
    return int(expression.subs(MEMORY, memory))
