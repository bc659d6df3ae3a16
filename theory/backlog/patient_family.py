r"""A family on which Sorted-F loses a factor of 3, whatever a feasible batch is (derived).

The rounds of `kurtz.theory.backlog.gated_family` with long prompts, so that memory is a
rectangle over time, and m *patient* requests of next to no memory. A patient's output of
:math:`(2 n + m) F` is just so long that no batch gains by it, F being that of the last gate.

* Sorted-F takes the rounds and gates in turn, :math:`2 n` units each, and then the patients: they
  wait for all of them, though the memory for them is free from the beginning.
* The reference schedule starts the patients at once and runs :math:`n - 1` short requests
  at a time, then the gates, then n long ones at a time.

With :math:`k n = y m` the ratio tends to :math:`(1 + y)^2 / (1 + y^2 / 2)` for large q, k and then
n; at y = 2 that is 3.
"""

from __future__ import annotations

from dataclasses import dataclass

import sympy

from ..errors import require_integer
from .gated_family import GATE, LONG, ROUND, ROUNDS, SHORT, SIZE, UNIT, GatedFamily
from .gated_family import sorted_f_latency as latency_of_rounds
from .model import Backlog, Request, Schedule

PATIENTS = sympy.Symbol("m", integer=True, positive=True)

PATIENT = (2 * SIZE + PATIENTS) * GATE.subs(ROUND, ROUNDS)
"""Output of a patient."""


@dataclass(frozen=True)
class PatientFamily:
    """The rounds of a gated family, given long prompts, and ``patients`` patients."""

    rounds: GatedFamily
    patients: int

    def __post_init__(self) -> None:
        require_integer("patients", self.patients, "requests", at_least=1)

    def value(self, expression: sympy.Expr, place: int = 1) -> int:
        """``expression`` in the symbols of the rounds and `PATIENTS` at this member."""
        return self.rounds.value(expression.subs(PATIENTS, self.patients), place)

    @property
    def backlog(self) -> Backlog:
        """Round after round: the short requests, the long one, the gate; then the patients."""
        size, rounds = self.rounds.size, self.rounds.rounds
        patient = self.value(PATIENT)
        spare = self.patients * patient  # what the patients hold in the end
        longest = self.value(LONG, rounds)
        # n short requests exceed the memory, n - 1 and a long one do not; all are rectangles.
        peak = (size + 2) * (spare + longest + 1)
        peak_of_long = peak - spare - 1
        shared = (size - 1) * peak + peak_of_long
        short = self.value(SHORT)
        requests = []
        for place in range(1, rounds + 1):
            long, gate = self.value(LONG, place), self.value(GATE, place)
            requests += [Request(peak - short, short)] * (size - 1)
            requests += [Request(peak_of_long - long, long), Request(shared - gate, gate)]
        requests += [Request(0, patient)] * self.patients
        return Backlog(tuple(requests), shared + spare)

    @property
    def batches(self) -> tuple[tuple[int, ...], ...]:
        """What phase one selects: round 1 without its gate, gate 1, round 2, ..., the patients."""
        first = self.rounds.rounds * (self.rounds.size + 1)
        return (*self.rounds.batches, tuple(range(first, first + self.patients)))

    @property
    def reference(self) -> Schedule:
        """Patients at once; n - 1 short requests at a time, the gates, n long ones at a time."""
        size, rounds = self.rounds.size, self.rounds.rounds
        short, longest = self.value(SHORT), self.value(LONG, rounds)
        gate = rounds * short
        starts = []
        after_gates = gate + sum(self.value(GATE, place) for place in range(1, rounds + 1))
        for place in range(rounds):
            starts += [place * short] * (size - 1)
            starts += [after_gates + place // size * longest, gate]
            gate += self.value(GATE, place + 1)
        return Schedule((*starts, *[0] * self.patients))


def sorted_f_latency() -> sympy.Expr:
    """TEL(Sorted-F) in closed form: the patients start with the last gate."""
    last_gate = sympy.summation(LONG + GATE, (ROUND, 1, ROUNDS)) - GATE.subs(ROUND, ROUNDS)
    return sympy.expand(latency_of_rounds() + PATIENTS * (last_gate + PATIENT))


def reference_latency_bound() -> sympy.Expr:
    """An upper bound on TEL of the reference: every long one may start k (longest) / n late."""
    of_shorts = (SIZE - 1) * sympy.summation(ROUND * SHORT, (ROUND, 1, ROUNDS))
    earlier = sympy.Symbol("h", integer=True, positive=True)
    gate_ends = ROUNDS * SHORT + sympy.summation(GATE.subs(ROUND, earlier), (earlier, 1, ROUND))
    of_gates = sympy.summation(sympy.expand(gate_ends), (ROUND, 1, ROUNDS))
    after_gates = ROUNDS * SHORT + sympy.summation(GATE, (ROUND, 1, ROUNDS))
    longest = LONG.subs(ROUND, ROUNDS)
    of_longs = ROUNDS * (after_gates + ROUNDS * longest / SIZE + longest)
    return sympy.expand(of_shorts + of_gates + of_longs + PATIENTS * PATIENT)


def limit_ratio() -> sympy.Expr:
    """The ratio for q and then k to infinity with m = n k / 2, in `SIZE`; it tends to 3."""
    with_patients = {PATIENTS: SIZE * ROUNDS / 2}
    ratio = sympy.cancel((sorted_f_latency() / reference_latency_bound()).subs(with_patients))
    in_units = sympy.cancel(sympy.limit(ratio, UNIT, sympy.oo))
    return sympy.factor(sympy.limit(in_units, ROUNDS, sympy.oo))
