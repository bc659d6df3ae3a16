r"""Slot filling (derived): where its fluid stands still, and two cases in which it gets there.

While somebody waits the gate keeps all slots full, :math:`y_m = (B-1) X` and
:math:`y_s = B (1-X)` with :math:`X = \sum_i x_i`, and the decode balances add up to the decode row
of `bundled_knapsack` with equality: each class takes a positive part of it, which makes the
standstill unique (`kurtz.proofs_checks.networks.finite_n_fluid`).

Suppose that from some time on the same class k is the first that waits. Classes before it are
admitted as they arrive, :math:`x_i' = \lambda_i - \mu_{p,i} x_i`, so that :math:`x_i` tends to
:math:`\bar x_i` exponentially. What remains is one linear equation:

* *output lengths are equal*. Completions are :math:`\mu_m (y_m + \kappa y_s)` in all, whoever
  decodes where, and each makes room for one admission. With the classes before k at
  :math:`\bar x_i`, :math:`x_k - x_k^*` decays at rate :math:`\mu_{p,k} + \mu_m (\kappa B - B + 1)`;
* *speeds are equal*, :math:`\kappa = 1`. Then :math:`y_i' = \mu_{p,i} x_i - \mu_{m,i} y_i` for
  every class, those before k settle, :math:`x_k + y_k` is what they leave of B, and
  :math:`y_k - y_k^*` decays at rate :math:`\mu_{p,k} + \mu_{m,k}`.

Disturbances that decay exponentially do not change where a stable linear equation leads. In
general the speed of a decode depends on who else is on its GPU, and this is not a proof.
"""

from __future__ import annotations

import sympy

from . import symbols as s
from .kernel import Derivation, Identity, Inequality

CONDITION = "kappa >= (B-1)/B"


def derivation() -> Derivation:
    """The decode row at full slots, and the linear equations of the two cases."""
    all_prefill = s.total(s.PREFILL)
    work = s.PREFILL_RATE / s.MIXED_RATE
    full = (s.BATCH - 1) * all_prefill + s.KAPPA * s.BATCH * (1 - all_prefill)
    point, settled, before, arrivals, room = sympy.symbols("x_k x_k^* X_< Lambda_< c", real=True)

    def admitted(prefill: sympy.Expr) -> sympy.Expr:
        """Growth of x_k with equal output lengths: completions less other arrivals, and decay."""
        everyone = before + prefill
        slots = (s.BATCH - 1) * everyone + s.KAPPA * s.BATCH * (1 - everyone)
        return s.MIXED_RATE * slots - arrivals - s.PREFILL_RATE * prefill

    def decoding(decodes: sympy.Expr) -> sympy.Expr:
        """Growth of y_k with equal speeds, where x_k + y_k = c."""
        return s.PREFILL_RATE * (room - decodes) - s.MIXED_RATE * decodes

    def waiting(prefill: sympy.Expr) -> sympy.Expr:
        """Growth of x_i of a class that does not wait."""
        return s.ARRIVAL - s.PREFILL_RATE * prefill

    away = point - settled
    steps = (
        Identity(
            "with full slots the decode balance is the decode row of the knapsack",
            full - s.total(work * s.PREFILL),
            s.KAPPA * s.BATCH - s.total(work * s.PREFILL) - s.CONDITION * all_prefill,
        ),
        Inequality(
            "each class takes part of that row, at least its decode work",
            work,
            work + s.CONDITION,
            ((s.CONDITION,),),
        ),
        Identity(
            "classes that do not wait tend to their arrivals at rate mu_p",
            waiting(point) - waiting(settled),
            -s.PREFILL_RATE * away,
        ),
        Identity(
            "equal output lengths: x_k tends to its target at rate mu_p + mu_m (kappa B - B + 1)",
            admitted(point) - admitted(settled),
            -(s.PREFILL_RATE + s.MIXED_RATE * s.CONDITION) * away,
        ),
        Inequality(
            "that rate is at least mu_p",
            s.PREFILL_RATE,
            s.PREFILL_RATE + s.MIXED_RATE * s.CONDITION,
            ((s.MIXED_RATE, s.CONDITION),),
        ),
        Identity(
            "equal speeds: y_k tends to its target at rate mu_p + mu_m",
            decoding(point) - decoding(settled),
            -(s.PREFILL_RATE + s.MIXED_RATE) * away,
        ),
    )
    return Derivation(
        title="slot filling while the same class waits",
        hypotheses=((CONDITION, s.CONDITION),),
        steps=steps,
        conclusion="the standstill is unique, and is reached exponentially if output lengths or "
        "speeds are equal",
    )
