r"""Where the fluid of slot filling stands still: at one point, which earns R*.

Let everything be per GPU, :math:`X = \sum_i x_i`, :math:`a_i = \mu_{p,i} / \mu_{m,i}` and
:math:`b_i = a_i + \kappa B - (B-1)`. GPUs that prefill have X (B-1) decode slots, the others
B (1 - X), and the gate keeps :math:`X + y_m + y_s + q_d \le B`. Decodes wait only while no slot is
free, hence :math:`q_d = 0`. A point at which nothing changes satisfies, whatever the plan,

1. :math:`\mu_{p,i} x_i = \mu_{m,i} y_{m,i} + \mu_{s,i} y_{s,i}`, so that
   :math:`\sum_i a_i x_i = y_m + \kappa y_s \le (B-1) X + \kappa B (1-X)`, that is
   :math:`\sum_i b_i x_i \le \kappa B`;
2. :math:`\lambda_i = \mu_{p,i} x_i + \theta_i q_{p,i}`, so that
   :math:`x_i \le \bar x_i = \lambda_i / \mu_{p,i}`, with equality where nobody waits;
3. if anybody waits the gate is closed, all slots are full, and :math:`\sum_i b_i x_i = \kappa B`.
   For were it open, a GPU that ends a prefill would take another one at once, and so would every
   other GPU that ends a decode: X would rise, unless X = 1;
4. who waits in front of a gate that opens now and then lets nobody pass of a later class.

So the point lies on the path that serves one class after the other, each up to
:math:`\bar x_i`, in the order of the gate: at its end if nobody waits, where
:math:`\sum_i b_i x_i = \kappa B` otherwise. Since :math:`b_i > 0` if
:math:`\kappa \ge (B-1)/B`, there is exactly one such point; if X is at most one there, X = 1 with
the gate open is a point further on, where the decode row is broken. Where prefill capacity binds
the gate never closes, and X = 1 takes the place of the decode row: all prefill slots are taken
while anybody waits, and no decode waits if :math:`\sum_i b_i x_i \le \kappa B`. With the occupancy
gate planned classes have the same :math:`x_i / x_i^*` or nobody waiting
(`kurtz.proofs_checks.networks.hypotheses.equilibria.gated_prefill`).

Here the point is computed in fractions, from the order of the classes and the rates, and compared
with the plan. That the fluid leads to it is not shown in general: the speed of a decode depends on
its GPU, so that occupancies per class alone do not determine the future. Two cases in which they
do are in `kurtz.theory.derivations.slot_filling`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

from ...fluid import Plan
from ...theory import exact_rates
from ...theory.claims import Grade
from ...theory.policies import Gate
from ...theory.policies.finite_size import SlotFilling
from ...theory.steady_state import Knapsack, knapsack
from ..verdict import Evidence, outcome_of
from .hypotheses.equilibria import gated_prefill


@dataclass(frozen=True)
class Standstill:
    """Prefill occupancies at which the fluid of slot filling stands still, and what they earn.

    ``buffer_empty`` says whether the decode slots suffice for what is prefilled.
    """

    prefill: tuple[Fraction, ...]
    revenue: Fraction
    buffer_empty: bool


def standstill(p: Plan, *, reverse: bool = False) -> Standstill:
    """The point of the module docstring; with ``reverse`` for the opposite order: a control."""
    policy = SlotFilling(p)
    form = knapsack(exact_rates(p.network))
    if policy.gate is Gate.PRIORITY:
        order = [i for i in policy.class_order() if policy.admits(i)]
        prefill = _in_turn(form, order[::-1] if reverse else order, sum(p.prefill) >= 1)
    else:
        prefill = gated_prefill(p, Fraction(1))
    work = sum(b * x for b, x in zip(form.decode_work, prefill, strict=True))
    return Standstill(
        prefill=prefill,
        revenue=sum((v * x for v, x in zip(form.profit, prefill, strict=True)), Fraction(0)),
        buffer_empty=work <= form.decode_capacity and sum(prefill) <= 1,
    )


def _in_turn(form: Knapsack, order: Sequence[int], prefill_binds: bool) -> tuple[Fraction, ...]:
    """Serve one class after the other, as far as the row that binds allows."""
    row = (Fraction(1),) * len(form.upper) if prefill_binds else form.decode_work
    left = Fraction(1) if prefill_binds else form.decode_capacity
    prefill = [Fraction(0)] * len(form.upper)
    for i in order:
        prefill[i] = min(form.upper[i], left / row[i])
        left -= row[i] * prefill[i]
    return tuple(prefill)


def standstill_evidence(plans: Sequence[Plan], *, reverse: bool = False) -> Evidence:
    """Whether the fluid stands still only where it earns R*, with an empty decode buffer."""
    found = [standstill(p, reverse=reverse) for p in plans]
    pairs = list(zip(found, plans, strict=True))
    good = sum(s.buffer_empty and s.revenue == p.value for s, p in pairs)
    short = max(abs(1 - s.revenue / p.value) for s, p in pairs)
    same = sum(s.prefill == p.prefill for s, p in pairs)
    return Evidence(
        name="the only point at which the fluid of slot filling stands still earns R*",
        grade=Grade.CERTIFIED,
        outcome=outcome_of(good == len(plans)),
        claimed=f"exactly, with an empty decode buffer, on {len(plans)} networks",
        computed=f"on {good}, prefill is the plan's on {same}; R* missed by at most "
        f"{float(short):.2%}",
        detail="fractions, from the rates and the order of the classes; that the fluid leads there "
        "is proved in two cases only",
    )
