r"""Proposition 3.2: if kappa >= (B-1)/B, some optimum of program (40) has q_d* = 0.

Exchange argument (Section 8 of arXiv 2602.02987 v1), for any feasible point and theta > 0 (with
theta = 0 the class's decode queue appears in no row, and is simply emptied):

* take the prefills that end in abandonment away, :math:`\Delta = \theta q_d / \mu_p`,
  :math:`\tilde x = x - \Delta`, and let those requests abandon before prefill;
* fewer mixed GPUs remain, so mixed decode may exceed its capacity by
  :math:`\varepsilon = (\sum y_m - (B-1) \sum \tilde x)^+`; move that mass to
  :math:`\varepsilon / \kappa` of solo mass, which completes at the same rate and fits. As
  :math:`\varepsilon \le \sum y_m`, the mass can be taken class by class.
"""

from __future__ import annotations

import sympy

from . import symbols as s
from .kernel import Derivation, Identity, Inequality


def derivation() -> Derivation:
    """The exchange argument, step by step."""
    removed = s.PATIENCE * s.DECODE_QUEUE / s.PREFILL_RATE
    kept = s.PREFILL - removed
    queue = s.PREFILL_QUEUE + s.PREFILL_RATE * removed / s.PATIENCE
    completions = s.MIXED_RATE * s.MIXED + s.SOLO_RATE * s.SOLO
    moved = sympy.Symbol("delta", nonnegative=True)  # mass taken from one class's mixed decode

    x, mixed, solo, cut = (s.total(e) for e in (s.PREFILL, s.MIXED, s.SOLO, removed))
    mixed_slack = (s.BATCH - 1) * x - mixed
    solo_slack = s.BATCH * (1 - x) - solo
    excess = mixed - (s.BATCH - 1) * (x - cut)
    steps = (
        Identity(
            "prefill flow balance is kept",
            s.ARRIVAL - s.PATIENCE * queue - s.PREFILL_RATE * kept,
            s.ARRIVAL - s.PATIENCE * s.PREFILL_QUEUE - s.PREFILL_RATE * s.PREFILL,
        ),
        Identity(
            "decode flow balance holds with an empty decode queue",
            s.PREFILL_RATE * kept - completions,
            s.PREFILL_RATE * s.PREFILL - s.PATIENCE * s.DECODE_QUEUE - completions,
        ),
        Inequality(
            "the new prefill occupancy is nonnegative, since it feeds the completions",
            sympy.Integer(0),
            kept.subs(s.PREFILL, (completions + s.PATIENCE * s.DECODE_QUEUE) / s.PREFILL_RATE),
            ((completions / s.PREFILL_RATE,),),
        ),
        Inequality(
            "prefill capacity: fewer GPUs run prefills",
            x - cut,
            sympy.Integer(1),
            ((1 - x,), (cut,)),
        ),
        Inequality(
            "solo capacity grows, where no mass has to move",
            solo,
            s.BATCH * (1 - (x - cut)),
            ((solo_slack,), (s.BATCH, cut)),
        ),
        Identity(
            "mass moved to solo decode completes at the same rate",
            s.physical(s.MIXED_RATE * moved),
            s.physical_solo_rate() * moved / s.physical(s.KAPPA),
        ),
        Inequality(
            "there is enough mixed mass to move",
            excess,
            mixed,
            ((s.BATCH - 1, x - cut),),
        ),
        Inequality(
            "after the move solo decode fits",
            solo + excess / s.KAPPA,
            s.BATCH * (1 - (x - cut)),
            ((solo_slack,), (mixed_slack, 1 / s.KAPPA), (s.CONDITION, cut, 1 / s.KAPPA)),
        ),
    )
    return Derivation(
        title="Proposition 3.2 (decode-buffer elimination)",
        hypotheses=(
            ("kappa >= (B-1)/B", s.CONDITION),
            ("mixed decode capacity", mixed_slack),
            ("solo decode capacity", solo_slack),
            ("prefill capacity", 1 - x),
            ("B >= 1", s.BATCH - 1),
            ("the new prefill occupancies are nonnegative", x - cut),
        ),
        steps=steps,
        conclusion="completions, hence revenue, are unchanged and the decode queues are empty",
    )
