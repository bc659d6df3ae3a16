r"""A family on which Sorted-F with common-start batches loses a factor of 4 (derived).

There are k rounds of :math:`n - 1` *short* requests, one *long* one and one *gate*; in units of q
steps they take about :math:`n - 1`, :math:`2 n - 1` and 1. Short and long requests have (almost) no
prompt: their memory is a triangle over time. A gate needs all the memory in its last step.

* The short requests and the long one of a round fit together, when the short ones
  complete the long one holds no more than one of them. Their :math:`F` is
  :math:`((n - 1)^2 + 2 n - 1) / n^2 = 1` unit, that of a gate is 1 unit; all other batches
  have more, and small terms put the rounds and gates in turn.
* The longest output is twice the mean, and a gate cannot start before it is done, nor the next
  round before the gate is: each round takes :math:`2 n` units.
* The reference schedule starts the short requests one after the other, so that triangles of all
  ages lie over one another and fill the memory: :math:`2 n - 2` are active at a time, a round of
  them takes :math:`(n - 1) / 2` units. Gates follow, then the long requests, again one after the
  other.

Hence :math:`\mathrm{TEL}(\text{Sorted-F}) / \mathrm{TEL}(\text{reference})` tends to a ratio for
:math:`q \to \infty` and then :math:`k \to \infty`, and that ratio tends to
:math:`4` for :math:`n \to \infty`.

The small terms: short outputs are :math:`(n - 1) q + C` with :math:`C = 2 n^2 (n - 1) k`, the j-th
long output is :math:`(2 n - 1) q + n^2 j - 1`, the j-th gate's is :math:`q + 2 (n - 1)^2 k + j`.
The round j then has :math:`F = q + 2 (n - 1)^2 k + j - 1/n^2`, just below that of its gate, and
:math:`n - 1` short requests alone have :math:`q + C / (n - 1)`, which is more.
"""

from __future__ import annotations

from dataclasses import dataclass

import sympy

from ..errors import InvalidInput, require_integer
from .model import Backlog, Request, Schedule

SIZE, ROUNDS, UNIT = sympy.symbols("n k q", integer=True, positive=True)
"""Size of a round's batch, number of rounds, and the unit in steps."""

ROUND = sympy.Symbol("j", integer=True, positive=True)

SHORT = (SIZE - 1) * UNIT + 2 * SIZE**2 * (SIZE - 1) * ROUNDS
LONG = (2 * SIZE - 1) * UNIT + SIZE**2 * ROUND - 1
GATE = UNIT + 2 * (SIZE - 1) ** 2 * ROUNDS + ROUND
"""Outputs; those of the long requests and of the gates are of round `ROUND`, from 1."""

SHORT_EVERY = SHORT / (2 * SIZE - 2)
LONG_EVERY = (2 * SIZE - 1) * UNIT + SIZE**2 * ROUNDS
"""Steps between two starts in the reference schedule; of the long ones times n - 2."""


@dataclass(frozen=True)
class GatedFamily:
    """The backlog of ``rounds`` rounds with batches of ``size``; ``unit`` is even.

    It must be large enough for the small terms to be small: at least 8 n^3 k.
    """

    size: int
    rounds: int
    unit: int

    def __post_init__(self) -> None:
        require_integer("size", self.size, "requests", at_least=3)
        require_integer("rounds", self.rounds, "rounds", at_least=1)
        least = 8 * self.size**3 * self.rounds
        require_integer("unit", self.unit, "steps", at_least=least)
        if self.unit % 2:
            raise InvalidInput("unit", self.unit, "an even number of steps")

    def value(self, expression: sympy.Expr, place: int = 1) -> int:
        """``expression`` in `SIZE`, `ROUNDS`, `UNIT` and `ROUND` at this member of the family."""
        values = {SIZE: self.size, ROUNDS: self.rounds, UNIT: self.unit, ROUND: place}
        return int(expression.subs(values))

    @property
    def backlog(self) -> Backlog:
        """Round after round: the short requests, the long one, the gate."""
        short = self.value(SHORT)
        memory = self.size * short + self.size - 1
        requests = []
        for place in range(1, self.rounds + 1):
            gate = self.value(GATE, place)
            requests += [Request(1, short)] * (self.size - 1)
            requests += [Request(0, self.value(LONG, place)), Request(memory - gate, gate)]
        return Backlog(tuple(requests), memory)

    @property
    def batches(self) -> tuple[tuple[int, ...], ...]:
        """What phase one selects: round 1 without its gate, gate 1, round 2, ..."""
        period = self.size + 1
        found: list[tuple[int, ...]] = []
        for first in range(0, self.rounds * period, period):
            found += [tuple(range(first, first + self.size)), (first + self.size,)]
        return tuple(found)

    @property
    def reference(self) -> Schedule:
        """The short requests at equal distances, then the gates, then the long ones."""
        every = self.value(SHORT_EVERY)
        long_every = -(-self.value(LONG_EVERY) // (self.size - 2))
        time = (self.rounds * (self.size - 1) - 1) * every + self.value(SHORT)
        gates = []
        for place in range(1, self.rounds + 1):
            gates.append(time)
            time += self.value(GATE, place)
        starts = []
        for place in range(self.rounds):
            first = place * (self.size - 1)
            starts += [(first + i) * every for i in range(self.size - 1)]
            starts += [time + place * long_every, gates[place]]
        return Schedule(tuple(starts))


def sorted_f_latency() -> sympy.Expr:
    """TEL(Sorted-F) in closed form: rounds and gates one after the other."""
    earlier = sympy.Symbol("i", integer=True, positive=True)
    begins = sympy.summation((LONG + GATE).subs(ROUND, earlier), (earlier, 1, ROUND - 1))
    of_round = (SIZE - 1) * (begins + SHORT) + 2 * (begins + LONG) + GATE
    return sympy.expand(sympy.summation(sympy.expand(of_round), (ROUND, 1, ROUNDS)))


def reference_latency_bound() -> sympy.Expr:
    """An upper bound on TEL of the reference in closed form: starts of long ones not rounded up."""
    place = sympy.Symbol("i", integer=True, nonnegative=True)
    shorts = ROUNDS * (SIZE - 1)
    of_shorts = sympy.summation(place * SHORT_EVERY + SHORT, (place, 0, shorts - 1))
    after_shorts = (shorts - 1) * SHORT_EVERY + SHORT
    after_gates = after_shorts + sympy.summation(GATE, (ROUND, 1, ROUNDS))
    earlier = sympy.Symbol("h", integer=True, positive=True)
    gate_ends = after_shorts + sympy.summation(GATE.subs(ROUND, earlier), (earlier, 1, ROUND))
    of_gates = sympy.summation(sympy.expand(gate_ends), (ROUND, 1, ROUNDS))
    step = LONG_EVERY / (SIZE - 2) + 1  # rounding up adds less than one step
    of_longs = sympy.summation(
        sympy.expand(after_gates + (ROUND - 1) * step + LONG), (ROUND, 1, ROUNDS)
    )
    return sympy.together(sympy.expand(of_shorts + of_gates + of_longs))


def limit_ratio() -> sympy.Expr:
    """The ratio for q and then k to infinity, as an expression in `SIZE`; it tends to 4."""
    ratio = sympy.cancel(sympy.together(sorted_f_latency() / reference_latency_bound()))
    in_units = sympy.cancel(sympy.limit(ratio, UNIT, sympy.oo))
    return sympy.factor(sympy.limit(in_units, ROUNDS, sympy.oo))
