"""Evidence from a gap study: the exponent of the gap, and the gap that remains in the limit."""

from __future__ import annotations

import numpy as np

from ...theory.claims import Grade
from ..statistics import (
    FAMILY_LEVEL,
    POWER,
    SETTLING_LEVEL,
    Fitted,
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
    sizes = f"n = {used.gpus[0]:,} ... {used.gpus[-1]:,}"
    if np.any(used.gap <= 0):
        return Evidence(
            name=title,
            grade=Grade.ESTIMATED,
            outcome=Outcome.INCONCLUSIVE,
            claimed="-1/2",
            computed=f"a gap over {sizes} is not positive, no exponent fits",
        )
    exponent = fitted_exponent(used)
    low, high = exponent.interval(FAMILY_LEVEL / tests)
    p_value = settling_p_value(used)
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
        computed=f"{exponent.value:.3f} in [{low:.3f}, {high:.3f}] over {sizes}",
        slack=min(-0.5 - low, high + 0.5),
        detail=f"H0: exponent = -1/2; {level_and_power(exponent, tests, sides=2)}; "
        f"sqrt(n) gap constant: Cochran's Q p = {p_value:.2f}",
    )


def limit_evidence(study: GapStudy, margin: float, tests: int) -> Evidence:
    """Whether the gap that remains as n grows is within the margin of zero: equivalence test.

    The margin is relative to R*; one of ``tests`` tests.

    It can hold only where sqrt(n) gap is constant, which is what makes the intercept a limit.
    """
    used = study.settled
    limit = fitted_limit(used)
    # Two one-sided tests at level a each: the two-sided interval of error probability 2 a.
    low, high = limit.interval(2 * FAMILY_LEVEL / tests)
    if low > margin or high < -margin:
        outcome = Outcome.REFUTED
    elif -margin < low and high < margin and settling_p_value(used) >= SETTLING_LEVEL:
        outcome = Outcome.HOLDS
    else:
        outcome = Outcome.INCONCLUSIVE
    return Evidence(
        name=f"limit gap of {study.label}",
        grade=Grade.ESTIMATED,
        outcome=outcome,
        claimed=f"within {margin:.1%} of R* = {float(study.plan.value):.3f}",
        computed=f"{limit.value:+.3%} in [{low:+.3%}, {high:+.3%}]",
        slack=margin - max(abs(low), abs(high)),
        detail=f"H0: limit gap at least the margin, two one-sided tests; "
        f"{level_and_power(limit, tests, sides=1)}; "
        f"intercept over n = {used.gpus[0]:,} ... {used.gpus[-1]:,}",
    )


def level_and_power(fitted: Fitted, tests: int, *, sides: int) -> str:
    """Level and power of one of ``tests`` tests, in words."""
    level = FAMILY_LEVEL / tests
    return (
        f"level {level:g} ({FAMILY_LEVEL:g} family-wise over {tests} tests), power {POWER:g} "
        f"at a deviation of {fitted.detectable(level, sides=sides):.2g}"
    )
