"""Hypothesis strategies for serving networks; `kurtz.proofs_checks.testing` has those for backlogs.

All numbers are short decimals, so that fractions stay small and exact tests fast. `pythonpath` in
pyproject.toml makes this module importable from every test.
"""

from __future__ import annotations

import math
from fractions import Fraction

from hypothesis import strategies as st

from kurtz.theory import Gpu, IterationTime, Prices, RequestClass, ServingNetwork


def decimals(lowest: int, highest: int, per_unit: int) -> st.SearchStrategy[float]:
    """The decimals k / per_unit with lowest <= k <= highest."""
    return st.integers(lowest, highest).map(lambda k: k / per_unit)


@st.composite
def gpus(draw: st.DrawFn, meets_condition: bool | None = None) -> Gpu:
    """A GPU; on request with kappa >= (B-1)/B, or with kappa < (B-1)/B."""
    batch = draw(st.sampled_from((2, 3, 4, 8, 16) if meets_condition is False else (1, 2, 4, 16)))
    chunk = draw(st.sampled_from((64, 128, 256, 512)))
    alpha, beta = draw(st.integers(5, 30)), draw(st.integers(1, 20))
    mixed_time = Fraction(alpha, 1000) + Fraction(beta, 100_000) * chunk
    # kappa = gamma tau reaches (B-1)/B at this gamma, in tenths of tokens per second.
    threshold = 10 * Fraction(batch - 1, batch) / mixed_time
    at_least, at_most = 1, 1000
    if meets_condition is True:
        at_least = max(1, math.ceil(threshold))
    elif meets_condition is False:
        at_most = max(1, math.ceil(threshold) - 1)
    gamma = draw(st.integers(at_least, max(at_least, at_most)))
    return Gpu(
        "a GPU", IterationTime(alpha / 1000, beta / 100_000, gamma / 10), batch=batch, chunk=chunk
    )


@st.composite
def networks(
    draw: st.DrawFn,
    *,
    classes: tuple[int, int] = (1, 4),
    meets_condition: bool | None = None,
    zero_patience: bool = False,
) -> ServingNetwork:
    """A serving network.

    Parameters
    ----------
    classes
        Fewest and most request classes.
    meets_condition
        Whether kappa >= (B-1)/B, the hypothesis of Proposition 3.2; None draws either.
    zero_patience
        Whether some classes may never abandon; then the program may be infeasible.
    """
    count = draw(st.integers(*classes))
    request_classes = tuple(
        RequestClass(
            name=f"class {i}",
            prompt_tokens=100 * draw(st.integers(1, 30)),
            output_tokens=50 * draw(st.integers(1, 20)),
            arrival_rate=draw(decimals(1, 20, 20)),
            patience_rate=draw(decimals(0 if zero_patience else 1, 10, 10)),
        )
        for i in range(count)
    )
    prices = Prices(draw(decimals(0, 10, 10)), draw(decimals(0, 10, 10)))
    return ServingNetwork(draw(gpus(meets_condition)), prices, request_classes)
