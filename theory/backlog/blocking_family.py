r"""A family on which Sorted-F loses a factor of 2.62 (derived).

There are k pairs :math:`(A_j, B_j)` and m *patient* requests. In units of q steps an A takes 1 and
a B almost 3; a patient takes m + 4 and next to no memory. A pair has
:math:`F = (q + 3q - 1)/4 < q`, which beats every other batch:

* two A's never fit together, and three B's do not either, for their peaks exceed M/2 and M/3;
* :math:`A_i` fits beside :math:`B_j` only if :math:`i \le j`: the peaks of the A's ascend by a step
  :math:`\delta`, those of the B's descend;
* patients raise F, their output being m + 4 units.

So Sorted-F takes pairs first, and as all :math:`(A_i, B_j)` with :math:`i \le j` have the same F,
the tie-break by request number makes it take them in turn; then come the patients. In phase two
:math:`A_{j+1}` does not fit beside :math:`B_j`: every pair takes the three units of its B, and the
patients wait for all of them, though the memory for them is free from the beginning.

The reference schedule starts the patients at once, runs the A's one after the other, every third B
beside them (:math:`B_{3t}` beside :math:`A_{3t-2}, A_{3t-1}, A_{3t}`), then the other B's two at
a time. With r = k/m it follows that

.. math:: \frac{\mathrm{TEL}(\text{Sorted-F})}{\mathrm{TEL}(\text{reference})} \to
          \frac{3 r^2 + 3 r + 1}{5 r^2 / 3 + 1} \quad (m, q \to \infty),

which is largest at :math:`r = (4 + \sqrt{151}) / 15`: there it is 2.6288.
It holds for both definitions of a feasible batch.
"""

from __future__ import annotations

from dataclasses import dataclass

import sympy

from ..errors import InvalidInput, require_integer
from .batches import BATCH_KINDS, BatchKind
from .model import Backlog, Request, Schedule

THIRDS, PATIENTS, UNIT = sympy.symbols("t m q", integer=True, positive=True)
"""A third of the number of pairs, the number of patients, and the unit in steps."""

BEST_SHARE = (4 + sympy.sqrt(151)) / 15
"""k/m where the limit of the ratio is largest."""


@dataclass(frozen=True)
class BlockingFamily:
    """The backlog of 3 ``thirds`` pairs and ``patients`` patients, with ``unit`` steps a unit.

    ``kind`` says for which definition of a feasible batch the peaks are set.
    """

    thirds: int
    patients: int
    unit: int
    kind: BatchKind = "peak-sum"

    def __post_init__(self) -> None:
        require_integer("thirds", self.thirds, "thirds of the number of pairs", at_least=1)
        require_integer("patients", self.patients, "requests", at_least=1)
        require_integer("unit", self.unit, "steps", at_least=2)
        if self.kind not in BATCH_KINDS:
            raise InvalidInput("kind", self.kind, f"one of {', '.join(BATCH_KINDS)}")

    @property
    def pairs(self) -> int:
        """Number of pairs, k."""
        return 3 * self.thirds

    @property
    def long_output(self) -> int:
        """Output of a B, 3 q - 1 tokens."""
        return 3 * self.unit - 1

    @property
    def patient_output(self) -> int:
        """Output of a patient, (m + 4) q tokens."""
        return (self.patients + 4) * self.unit

    @property
    def backlog(self) -> Backlog:
        """A_1, B_1, A_2, B_2, ..., then the patients."""
        # When an A completes, a B that started with it holds this much less than in its last step.
        grows = self.long_output - self.unit
        growth_allowed = grows if self.kind == "common-start" else 0
        # What the patients hold in the end, and the growth of a B that in the reference schedule
        # is done just before the third A beside it.
        spare = self.patients * self.patient_output + growth_allowed
        step = spare + grows + 1
        # The peaks of the A's must stay between 1/2 and 2/3 of the base.
        base = 12 * step * (self.pairs + 2)
        smallest = base // 2 + step + spare
        requests = []
        for place in range(1, self.pairs + 1):
            peak = smallest + place * step
            requests.append(Request(peak - self.unit, self.unit))
            peak_beside = base - peak + growth_allowed
            requests.append(Request(peak_beside - self.long_output, self.long_output))
        requests += [Request(0, self.patient_output)] * self.patients
        return Backlog(tuple(requests), base + spare)

    @property
    def reference(self) -> Schedule:
        """Patients at once, A's in a row, every third B beside them, then the B's two by two."""
        k, unit = self.pairs, self.unit
        starts = []
        later = 0
        for place in range(1, k + 1):
            starts.append((place - 1) * unit)
            if place % 3 == 0:
                starts.append((place - 3) * unit)
            else:
                starts.append(k * unit + later // 2 * self.long_output)
                later += 1
        return Schedule((*starts, *[0] * self.patients))

    def value(self, expression: sympy.Expr) -> sympy.Expr:
        """``expression`` in `THIRDS`, `PATIENTS` and `UNIT` at this member of the family."""
        values = {THIRDS: self.thirds, PATIENTS: self.patients, UNIT: self.unit}
        return expression.subs(values)


def sorted_f_latency() -> sympy.Expr:
    """TEL(Sorted-F) in closed form: pair j starts at (j - 1) (3 q - 1), patients with the last."""
    j = sympy.Symbol("j", integer=True, positive=True)
    pairs, longest = 3 * THIRDS, 3 * UNIT - 1
    of_pair = ((j - 1) * longest + UNIT) + j * longest
    patient = (pairs - 1) * longest + (PATIENTS + 4) * UNIT
    return sympy.expand(sympy.summation(of_pair, (j, 1, pairs)) + PATIENTS * patient)


def reference_latency() -> sympy.Expr:
    """TEL of the reference schedule in closed form."""
    j = sympy.Symbol("j", integer=True, positive=True)
    pairs, longest = 3 * THIRDS, 3 * UNIT - 1
    short = sympy.summation(j * UNIT, (j, 1, pairs))
    beside = sympy.summation((j - 1) * 3 * UNIT + longest, (j, 1, THIRDS))
    by_two = sympy.summation(2 * (pairs * UNIT + j * longest), (j, 1, THIRDS))
    return sympy.expand(short + beside + by_two + PATIENTS * (PATIENTS + 4) * UNIT)


def limit_ratio(share: sympy.Expr = BEST_SHARE) -> sympy.Expr:
    """Limit of TEL(Sorted-F) / TEL(reference) for k = ``share`` m and m, q to infinity."""
    ratio = (sorted_f_latency() / reference_latency()).subs(THIRDS, share * PATIENTS / 3)
    in_units = sympy.limit(ratio, UNIT, sympy.oo)
    return sympy.radsimp(sympy.limit(in_units, PATIENTS, sympy.oo))
