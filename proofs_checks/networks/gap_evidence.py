"""Evidence from a gap study: the exponent of the gap, and the gap that remains in the limit."""

from __future__ import annotations

import numpy as np

from ...theory.claims import Grade
from ..statistics import (
    FAMILY_LEVEL,
    POWER,
    SETTLING_LEVEL,
    Fitted,
    GapCurve,
    fitted_exponent,
    fitted_limit,
    settling_p_value,
)
from ..verdict import Evidence, Outcome
from .gap_study import GapStudy


def exponent_evidence(name: str, study: GapStudy, tests: int) -> Evidence:
    """Whether the gap decays like n^(-1/2) on its settled range; one of ``tests`` tests.

    Inconclusive where the interval is so wide that it also holds 0 (no decay) or -1, where
    sqrt(n) gap turns out not to have settled, or where an estimated gap is not positive.
    """
    used = study.settled
    title = f"exponent of the gap where sqrt(n) gap has settled: {name}"
    if np.any(used.gap <= 0):
        return Evidence(
            name=title,
            grade=Grade.ESTIMATED,
            outcome=Outcome.INCONCLUSIVE,
            claimed="-1/2",
            computed=f"a gap over {sizes_of(used)} is not positive, no exponent fits",
        )
    return root_exponent_evidence(title, used, tests)


def root_exponent_evidence(title: str, settled: GapCurve, tests: int) -> Evidence:
    """Whether a settled curve decays like n^(-1/2); its values must be positive."""
    exponent = fitted_exponent(settled)
    low, high = exponent.interval(FAMILY_LEVEL / tests)
    p_value = settling_p_value(settled)
    if not low <= -0.5 <= high:
        outcome = Outcome.REFUTED
    elif p_value < SETTLING_LEVEL or low <= -1 or high >= 0:
        outcome = Outcome.INCONCLUSIVE
    else:
        outcome = Outcome.HOLDS
    return Evidence(
        name=title,
        grade=Grade.ESTIMATED,
        outcome=outcome,
        claimed="-1/2",
        computed=f"{exponent.value:.3f} in [{low:.3f}, {high:.3f}] over {sizes_of(settled)}",
        slack=min(-0.5 - low, high + 0.5),
        detail=f"H0: exponent = -1/2; {level_and_power(exponent, tests, sides=2)}; "
        f"constant times sqrt(n): Cochran's Q p = {p_value:.2f}",
    )


def limit_evidence(study: GapStudy, margin: float, tests: int) -> Evidence:
    """Whether the gap that remains as n grows is within the margin of zero: equivalence test.

    The margin is relative to the value of the plan; one of ``tests`` tests.

    It can hold only where sqrt(n) gap is constant, which is what makes the intercept a limit.
    """
    limit, outcome = settled_limit(study.settled, margin, tests)
    low, high = limit.interval(2 * FAMILY_LEVEL / tests)
    return Evidence(
        name=f"limit gap of {study.label}",
        grade=Grade.ESTIMATED,
        outcome=outcome,
        claimed=f"within {margin:.1%} of the plan's value {float(study.plan.value):.3f}",
        computed=f"{limit.value:+.3%} in [{low:+.3%}, {high:+.3%}]",
        slack=margin - max(abs(low), abs(high)),
        detail=f"H0: limit gap at least the margin, two one-sided tests; "
        f"{level_and_power(limit, tests, sides=1)}; intercept over {sizes_of(study.settled)}",
    )


def settled_limit(settled: GapCurve, margin: float, tests: int) -> tuple[Fitted, Outcome]:
    """Limit of a curve, and whether it is within ``margin`` of zero.

    It can be so only where the curve times sqrt(n) is constant.
    """
    limit = fitted_limit(settled)
    # Two one-sided tests at level a each: the two-sided interval of error probability 2 a.
    low, high = limit.interval(2 * FAMILY_LEVEL / tests)
    if low > margin or high < -margin:
        return limit, Outcome.REFUTED
    if -margin < low and high < margin and settling_p_value(settled) >= SETTLING_LEVEL:
        return limit, Outcome.HOLDS
    return limit, Outcome.INCONCLUSIVE


def sizes_of(curve: GapCurve) -> str:
    """The range of sizes of a curve, in words."""
    return f"n = {curve.gpus[0]:,} ... {curve.gpus[-1]:,}"


def level_and_power(fitted: Fitted, tests: int, *, sides: int) -> str:
    """Level and power of one of ``tests`` tests, in words."""
    level = FAMILY_LEVEL / tests
    return (
        f"level {level:g} ({FAMILY_LEVEL:g} family-wise over {tests} tests), power {POWER:g} "
        f"at a deviation of {fitted.detectable(level, sides=sides):.2g}"
    )
