r"""Counterexamples: families on which FCFS, shortest output and shortest total lose without bound.

Three kinds of requests are enough. A *large* one, (prompt, output) = (M - 1, 1), holds all of M in
its only step and runs alone, since every request holds something. A *long* one, (1, M - 2), keeps
the large ones off for M - 2 steps. *Small* ones, (1, 1) or (1, 2), fit side by side.

===================== =================================== =================== =================
rule                  backlog, in the order of arrival    latency of the rule latency beside it
===================== =================================== =================== =================
FCFS                  a large, b small (1, 1);            a(a+1)/2 + b(a+1)   b + a + a(a+1)/2
                      a = ⌊√M⌋, b = ⌊M/2⌋
FCFS, heads block     one long, one large, b small        2M - 3 + bM         b + 2 + M
                      (1, 1); b = ⌊M/2⌋
shortest output first a large, b small (1, 2);            a(a+1)/2 + b(a+2)   2b + 2a + a(a+1)/2
                      a = ⌊√M⌋, b = ⌊M/3⌋
shortest total first  one long, a large; a = ⌊√(2M)⌋      (M-2)(a+1)+a(a+1)/2 a(a+1)/2 + a + M-2
===================== =================================== =================== =================

*The rule's schedule, for every M.* In each order of two neighbouring groups one is large, and
large requests run alone: whatever stands before a group is done when the group starts, and
whatever stands behind waits. Inside a group, the large run one per step and the small all at once,
for b peaks of 2 or 3 tokens add up to at most M. (For FCFS it makes no difference in the first
family whether a blocked head is skipped: nothing fits beside a large request.)

*The reference schedule* runs the groups the other way round: small, large, long. The optimum is at
most its latency, so the rule loses at least the ratio of the two. `Counterexample.derivation`
proves a lower bound on it for every M, not only in the limit:

.. math:: \frac{\lfloor\sqrt M\rfloor}{2}, \qquad \frac{M}{3}, \qquad
          \frac{2 \lfloor\sqrt M\rfloor}{7}, \qquad \frac{\lfloor\sqrt{2M}\rfloor}{2},

and the ratio over that bound tends to 1: for these families no better constants are true.

*Controls.* With prompts of one token throughout the large requests disappear, and the rule starts
nearly everything at once; so it does in the second family when blocked heads are skipped. Its
latency over the sum of outputs, which bounds from above what the rule loses, then stays finite.

Source: the failures are stated by arXiv 2508.06133 (v1: ratios grow sublinearly in M; v4:
unbounded), whose instances are not public; families and bounds are derived.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from fractions import Fraction

import sympy

from ..derivations.kernel import Derivation, Identity, Inequality
from .families import LARGE, MEMORY, PLACE, ROOT, SMALL, Family, Group

_ONE, _ZERO = sympy.Integer(1), sympy.Integer(0)
_A, _B, _M = LARGE, SMALL, MEMORY
_ROOT_M = sympy.floor(sympy.sqrt(_M))
_ROOT_2M = sympy.floor(sympy.sqrt(2 * _M))

_C = sympy.Symbol("c", integer=True, nonnegative=True)
"""What M, or 2 M, exceeds the square of `LARGE` by."""

_E = sympy.Symbol("e", integer=True, nonnegative=True)
"""Remainder of M divided by 2, or by 3."""


@dataclass(frozen=True)
class Counterexample:
    """A family on which a rule loses more and more, with the proof and the controls.

    Attributes
    ----------
    family
        Backlogs, the rule's schedules and reference schedules.
    rule_latency, reference_latency
        The closed forms of the module docstring.
    bound
        Lower bound on the ratio of the two for every M, in `MEMORY` and `LARGE`.
    growth
        What the ratio grows like, in `MEMORY`.
    rounding
        `MEMORY` and `SMALL` in terms of `LARGE` and of the remainders of the roundings.
    hypotheses
        Expressions that are nonnegative because of the roundings and of the least memory.
    because
        Products of nonnegative factors that add up to rule_latency - bound * reference_latency.
    peak_of_small
        Tokens that a small request holds in its last step; 0 if there are none.
    controls
        Families that lack what the failure needs.
    """

    family: Family
    rule_latency: sympy.Expr
    reference_latency: sympy.Expr
    bound: sympy.Expr
    growth: sympy.Expr
    rounding: tuple[tuple[sympy.Symbol, sympy.Expr], ...]
    hypotheses: tuple[tuple[str, sympy.Expr], ...]
    because: tuple[tuple[sympy.Expr, ...], ...]
    peak_of_small: int
    controls: tuple[Family, ...]

    @property
    def ratio(self) -> sympy.Expr:
        """Latency of the rule over that of the reference: the rule loses at least this."""
        return self.rule_latency / self.reference_latency

    def ratio_at(self, memory: int) -> Fraction:
        """The ratio at ``memory`` tokens."""
        value = self.family.value(self.ratio, memory)
        return Fraction(int(value.p), int(value.q))

    def derivation(self) -> Derivation:
        """Closed forms, room for the small requests, and the bound, for every M."""
        family = self.family
        excess = self.rule_latency - self.bound * self.reference_latency
        return Derivation(
            title=f"{family.rule} on {family.name}: ratio >= {family.in_memory(self.bound)}",
            hypotheses=self.hypotheses,
            steps=(
                Identity(
                    "the completion times of the rule add up to the closed form",
                    family.rule_latency,
                    self.rule_latency,
                ),
                Identity(
                    "those of the reference schedule add up to the closed form",
                    family.reference_latency,
                    self.reference_latency,
                ),
                Inequality(
                    "the small requests fit side by side",
                    self._rounded(self.peak_of_small * SMALL),
                    self._rounded(MEMORY),
                    ((self._rounded(MEMORY - self.peak_of_small * SMALL),),),
                ),
                Inequality(
                    "the rule's latency is at least the bound times the reference's",
                    _ZERO,
                    self._rounded(excess),
                    self.because,
                ),
            ),
            conclusion=f"ratio at least {family.in_memory(self.bound)} for every "
            f"M >= {family.least_memory}",
        )

    def _rounded(self, expression: sympy.Expr) -> sympy.Expr:
        return sympy.expand(expression.subs(self.rounding))


def _large(count: sympy.Expr, start: sympy.Expr, reference_start: sympy.Expr) -> Group:
    return Group(_M - 1, _ONE, count, start, reference_start)


def _with_prompt_one(
    output: sympy.Expr, count: sympy.Expr, start: sympy.Expr, reference_start: sympy.Expr
) -> Group:
    return Group(_ONE, output, count, start, reference_start)


_LARGE_LATENCY = _A * (_A + 1) / 2
_ROUNDED_HALF = ("M/2 is rounded down by at most 1/2", 1 - _E)

_LARGE_BEFORE_SMALL = Family(
    name="large requests before small ones",
    rule="fcfs",
    groups=(_large(_A, PLACE, 1 + PLACE), _with_prompt_one(_ONE, _B, _A, _ZERO)),
    large=_ROOT_M,
    small=sympy.floor(_M / 2),
    smooth_memory=4 * ROOT**2,
    least_memory=2,
)

FIRST_COME = Counterexample(
    family=_LARGE_BEFORE_SMALL,
    rule_latency=_LARGE_LATENCY + _B * (_A + 1),
    reference_latency=_B + _A + _LARGE_LATENCY,
    bound=_A / 2,
    growth=sympy.sqrt(_M) / 2,
    rounding=((_B, (_M - _E) / 2), (_M, _A**2 + _C)),
    hypotheses=(_ROUNDED_HALF, ("M >= 1", _A - 1)),
    because=((_C, (_A + 2) / 4), (1 - _E, (_A + 2) / 4), (_A - 1, (_A + 2) / 4)),
    peak_of_small=2,
    controls=(
        replace(
            _LARGE_BEFORE_SMALL,
            name=f"{_LARGE_BEFORE_SMALL.name}, with equal prompts",
            groups=(
                _with_prompt_one(_ONE, _B, _ZERO, _ZERO),
                _with_prompt_one(_ONE, _A, _ONE, _ONE),
            ),
        ),
    ),
)

FIRST_COME_SKIPPING = replace(
    FIRST_COME,
    family=replace(
        _LARGE_BEFORE_SMALL,
        name=f"{_LARGE_BEFORE_SMALL.name}, blocked heads skipped",
        rule="fcfs-skip",
    ),
    controls=tuple(
        replace(control, name=f"{control.name}, blocked heads skipped", rule="fcfs-skip")
        for control in FIRST_COME.controls
    ),
)

_HEAD_BEFORE_SMALL = Family(
    name="a long and a large request before small ones",
    rule="fcfs",
    groups=(
        _with_prompt_one(_M - 2, _ONE, _ZERO, 2 * _ONE),
        _large(_ONE, _M - 2, _ONE),
        _with_prompt_one(_ONE, _B, _M - 1, _ZERO),
    ),
    large=_ONE,
    small=sympy.floor(_M / 2),
    smooth_memory=2 * ROOT,
    least_memory=3,
)

BLOCKING_HEAD = Counterexample(
    family=_HEAD_BEFORE_SMALL,
    rule_latency=2 * _M - 3 + _B * _M,
    reference_latency=_B + 2 + _M,
    bound=_M / 3,
    growth=_M / 3,
    rounding=((_M, 2 * _B + _E),),
    hypotheses=(_ROUNDED_HALF, ("M >= 3", 2 * _B + _E - 3)),
    because=((2 * _B + _E - 3,), (1 - _E, (2 * _B + _E) / 3)),
    peak_of_small=2,
    controls=(
        replace(
            _HEAD_BEFORE_SMALL,
            name=f"{_HEAD_BEFORE_SMALL.name}, with equal prompts",
            groups=(
                _with_prompt_one(_M - 2, _ONE, _ZERO, _ZERO),
                _with_prompt_one(_ONE, _B - 1, _ZERO, _ZERO),
                _with_prompt_one(_ONE, 2 * _ONE, _ONE, _ONE),
            ),
            least_memory=7,
        ),
        replace(
            _HEAD_BEFORE_SMALL,
            name=f"{_HEAD_BEFORE_SMALL.name}, blocked heads skipped",
            rule="fcfs-skip",
            groups=(
                _with_prompt_one(_M - 2, _ONE, _ZERO, 2 * _ONE),
                _large(_ONE, _M - 2, _ONE),
                _with_prompt_one(_ONE, _B - 1, _ZERO, _ZERO),
                _with_prompt_one(_ONE, _ONE, _ONE, _ZERO),
            ),
            least_memory=5,
        ),
    ),
)

_LARGE_BUT_SHORT = Family(
    name="large requests that are shorter than the small ones",
    rule="shortest-output",
    groups=(_large(_A, PLACE, 2 + PLACE), _with_prompt_one(2 * _ONE, _B, _A, _ZERO)),
    large=_ROOT_M,
    small=sympy.floor(_M / 3),
    smooth_memory=9 * ROOT**2,
    least_memory=4,
)

SHORTEST_OUTPUT = Counterexample(
    family=_LARGE_BUT_SHORT,
    rule_latency=_LARGE_LATENCY + _B * (_A + 2),
    reference_latency=2 * _B + 2 * _A + _LARGE_LATENCY,
    bound=2 * _A / 7,
    growth=2 * sympy.sqrt(_M) / 7,
    rounding=((_B, (_M - _E) / 3), (_M, _A**2 + _C)),
    hypotheses=(("M/3 is rounded down by at most 2/3", 2 - _E), ("M >= 4", _A - 2)),
    because=(
        (_C, (3 * _A + 14) / 21),
        (2 - _E, (3 * _A + 14) / 21),
        (_A - 2, (19 * _A + 47) / 42),
        (sympy.Rational(19, 21),),
    ),
    peak_of_small=3,
    controls=(
        replace(
            _LARGE_BUT_SHORT,
            name=f"{_LARGE_BUT_SHORT.name}, with equal prompts",
            groups=(
                _with_prompt_one(_ONE, _A, _ZERO, _ZERO),
                _with_prompt_one(2 * _ONE, _B, _ZERO, _ZERO),
            ),
            least_memory=36,
        ),
    ),
)

_LONG_BUT_SMALLER = Family(
    name="a long request that is smaller than the large ones",
    rule="shortest-total",
    groups=(_with_prompt_one(_M - 2, _ONE, _ZERO, _A), _large(_A, _M - 2 + PLACE, PLACE)),
    large=_ROOT_2M,
    small=_ZERO,
    smooth_memory=2 * ROOT**2,
    least_memory=8,
)

SHORTEST_TOTAL = Counterexample(
    family=_LONG_BUT_SMALLER,
    rule_latency=(_M - 2) * (_A + 1) + _LARGE_LATENCY,
    reference_latency=_LARGE_LATENCY + _A + _M - 2,
    bound=_A / 2,
    growth=sympy.sqrt(_M / 2),
    rounding=((_M, (_A**2 + _C) / 2),),
    hypotheses=(("M >= 8", _A - 4),),
    because=((_C, (_A + 2) / 4), (_A - 4, (_A + 2) / 4)),
    peak_of_small=0,
    controls=(
        replace(
            _LONG_BUT_SMALLER,
            name=f"{_LONG_BUT_SMALLER.name}, with equal prompts",
            groups=(
                _with_prompt_one(_M - 2, _ONE, _ZERO, _ZERO),
                _with_prompt_one(_ONE, _A, _ZERO, _ZERO),
            ),
            least_memory=10,
        ),
    ),
)

COUNTEREXAMPLES = (
    FIRST_COME,
    FIRST_COME_SKIPPING,
    BLOCKING_HEAD,
    SHORTEST_OUTPUT,
    SHORTEST_TOTAL,
)
