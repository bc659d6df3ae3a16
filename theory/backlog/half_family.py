r"""A family on which Sorted-F loses a factor of 3.32, whatever a feasible batch is (derived).

To the rounds, gates and patients of `kurtz.theory.backlog.patient_family`, with n = 2 h + 1, come
*half* requests: each holds just more than half the memory for one unit, so that no two run
together. A half by itself has :math:`F = 1` unit, as every round has. Beside it fit h short
requests, but with w of them, each of n - 1 units,
:math:`F = (1 + w (n - 1)) / (1 + w)^2` is less than 1 only for w > n - 3, and so many do not fit.

* Sorted-F takes rounds and gates in turn, then the halves, one unit each, with half the memory
  idle, then the patients, for whom there was room from the beginning.
* The reference schedule starts the patients at once and runs the halves one after the other and h
  short requests at a time beside them. Short requests that are left follow, n - 1 at a
  time, then the gates, then n long ones at a time.

In the reference the halves cost no time beyond what the short requests need beside them. With
:math:`y = n k / m`, where k is the number of rounds and m that of patients, and x halves for every
short request the ratio tends to

.. math:: \frac{(1 + 2 x + x^2/2)\,y^2 + (2 + x)\,y + 1}{(1/2 + x/2 + 3 x^2/8)\,y^2 + 1}

for large q, k and then n. At x = 0 this is the ratio of the patient family, at most 3; at x = 3/5,
y = 7/4 it is 3.3231. Its largest value is below 3.324.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import sympy

from ..errors import InvalidInput, require_integer
from .gated_family import GATE, LONG, ROUND, ROUNDS, SHORT, SIZE, UNIT
from .gated_family import sorted_f_latency as latency_of_rounds
from .model import Backlog, Request, Schedule
from .patient_family import PATIENT, PATIENTS, PatientFamily

WAVES = sympy.Symbol("u", integer=True, positive=True)
"""Pairs of waves of short requests beside the halves in the reference schedule."""

HALF = GATE.subs(ROUND, ROUNDS) + 1
"""Output of a half request: just longer than the last gate."""

HALVES = 2 * (SIZE - 1) * WAVES
"""Number of half requests: n - 1 of them take no longer than a wave of short ones."""

HALVES_PER_SHORT, ROUNDS_PER_PATIENT = sympy.Rational(3, 5), sympy.Rational(7, 4)
"""x and y of the module docstring at which `limit_ratio` is taken."""


@dataclass(frozen=True)
class HalfFamily:
    """The backlog of ``others``, rounds and patients, and 2 (n - 1) ``waves`` half requests.

    The size n of the rounds is odd and at least 7; ``waves`` is at most the number of rounds.
    """

    others: PatientFamily
    waves: int

    def __post_init__(self) -> None:
        require_integer("waves", self.waves, "pairs of waves", at_least=1)
        rounds = self.others.rounds
        if rounds.size % 2 == 0 or rounds.size < 7:
            raise InvalidInput("size", rounds.size, "an odd number >= 7 (requests)")
        if self.waves > rounds.rounds:
            raise InvalidInput("waves", self.waves, f"at most the {rounds.rounds} rounds")

    def value(self, expression: sympy.Expr, place: int = 1) -> int:
        """``expression`` in the symbols of the rounds, `PATIENTS` and `WAVES` at this member."""
        return self.others.value(expression.subs(WAVES, self.waves), place)

    @property
    def halves(self) -> int:
        """Number of half requests."""
        return self.value(HALVES)

    @property
    def backlog(self) -> Backlog:
        """Rounds and gates in turn, the half requests, the patients."""
        others = self.others.backlog
        in_rounds = len(others) - self.others.patients
        # Its prompt alone is half the memory, so that the next one cannot start a step early.
        half = Request(others.memory // 2, self.value(HALF))
        rounds, patients = others.requests[:in_rounds], others.requests[in_rounds:]
        return Backlog((*rounds, *[half] * self.halves, *patients), others.memory)

    @property
    def batches(self) -> tuple[tuple[int, ...], ...]:
        """What phase one selects: rounds and gates in turn, half after half, the patients."""
        *of_rounds, patients = self.others.batches
        first = patients[0]
        halves = tuple((first + place,) for place in range(self.halves))
        return (*of_rounds, *halves, tuple(i + self.halves for i in patients))

    @property
    def reference(self) -> Schedule:
        """Patients at once; halves in a row, short ones beside; the rest as the patient family."""
        size, rounds = self.others.rounds.size, self.others.rounds.rounds
        short, longest = self.value(SHORT), self.value(LONG, rounds)
        beside = self.waves * (size - 1)  # short requests beside halves, (n - 1) / 2 at a time
        begins = [place // (size // 2) * short for place in range(beside)]
        begins += [
            (2 * self.waves + place // (size - 1)) * short
            for place in range(rounds * (size - 1) - beside)
        ]
        gate = (rounds + self.waves) * short
        after_gates = gate + sum(self.value(GATE, place) for place in range(1, rounds + 1))
        starts = []
        for place in range(rounds):
            starts += begins[place * (size - 1) : (place + 1) * (size - 1)]
            starts += [after_gates + place // size * longest, gate]
            gate += self.value(GATE, place + 1)
        half = self.value(HALF)
        starts += [place * half for place in range(self.halves)]
        return Schedule((*starts, *[0] * self.others.patients))


def sorted_f_latency() -> sympy.Expr:
    """TEL(Sorted-F) in closed form: the patients start with the last half request (or gate)."""
    in_rounds = sympy.summation(LONG + GATE, (ROUND, 1, ROUNDS))
    of_halves = HALVES * in_rounds + HALVES * (HALVES + 1) / 2 * HALF
    of_patients = PATIENTS * (in_rounds + (HALVES - 1) * HALF + PATIENT)
    return sympy.expand(latency_of_rounds() + of_halves + of_patients)


def reference_latency_bound() -> sympy.Expr:
    """An upper bound on TEL of the reference: every long one may start k (longest) / n late."""
    wave, earlier = sympy.symbols("w h", integer=True, positive=True)
    beside = sympy.summation(wave * SHORT, (wave, 1, 2 * WAVES)) * (SIZE - 1) / 2
    later = sympy.summation((2 * WAVES + wave) * SHORT, (wave, 1, ROUNDS - WAVES)) * (SIZE - 1)
    gates_begin = (ROUNDS + WAVES) * SHORT
    gate_ends = gates_begin + sympy.summation(GATE.subs(ROUND, earlier), (earlier, 1, ROUND))
    of_gates = sympy.summation(sympy.expand(gate_ends), (ROUND, 1, ROUNDS))
    after_gates = gates_begin + sympy.summation(GATE, (ROUND, 1, ROUNDS))
    longest = LONG.subs(ROUND, ROUNDS)
    of_longs = ROUNDS * (after_gates + ROUNDS * longest / SIZE + longest)
    of_halves = HALVES * (HALVES + 1) / 2 * HALF
    parts = (beside, later, of_gates, of_longs, of_halves, PATIENTS * PATIENT)
    return sympy.expand(sum(parts, sympy.Integer(0)))


def limit_ratio(
    halves: sympy.Expr = HALVES_PER_SHORT, rounds: sympy.Expr = ROUNDS_PER_PATIENT
) -> sympy.Expr:
    """Limit of the ratio for q, then k, then n to infinity.

    ``halves`` is their number per short request, x = 2 u / k; ``rounds`` is y = n k / m.
    """
    halves, rounds = sympy.sympify(halves), sympy.sympify(rounds)
    shares = {WAVES: halves * ROUNDS / 2, PATIENTS: SIZE * ROUNDS / rounds}
    ratio = sorted_f_latency().subs(shares) / reference_latency_bound().subs(shares)
    return limit_of_rational(ratio, (UNIT, ROUNDS, SIZE))


def limit_of_rational(ratio: sympy.Expr, symbols: Sequence[sympy.Symbol]) -> sympy.Expr:
    """The limit of a rational function as its symbols tend to infinity, one after the other.

    Raises
    ------
    ArithmeticError
        Numerator and denominator are of different degree in one of the symbols.
    """
    above, below = sympy.fraction(sympy.together(ratio))
    for symbol in symbols:
        leading = [sympy.Poly(part, symbol) for part in (above, below)]
        if leading[0].degree() != leading[1].degree():
            raise ArithmeticError(f"the limit in {symbol} is 0 or infinite")
        above, below = (part.LC() for part in leading)
    return sympy.factor(above / below)
