"""For other test suites: hypothesis strategies for backlogs, and rules held against exact optima.

Needs hypothesis (``pip install 'kurtz[testing]'``).

>>> from kurtz.fluid.backlog import RULES
>>> assert_ratio(RULES["sorted-f"], 40, examples=20)
"""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from numbers import Real

from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from ..fluid.backlog import optimum
from ..theory.backlog import Backlog, Request, Schedule, total_latency
from ..theory.errors import InvalidInput, require_integer

Bound = int | float | Fraction | Callable[[Backlog], int | float | Fraction]
"""A number, or a function of the backlog."""


@st.composite
def requests(draw: st.DrawFn, memory: int) -> Request:
    """A request that fits into ``memory`` tokens."""
    output = draw(st.integers(1, memory))
    return Request(draw(st.integers(0, memory - output)), output)


@st.composite
def backlogs(
    draw: st.DrawFn, *, max_requests: int = 6, max_memory: int = 12, min_requests: int = 1
) -> Backlog:
    """A backlog of so many requests under 1 to ``max_memory`` tokens."""
    memory = draw(st.integers(1, max_memory))
    listed = draw(st.lists(requests(memory=memory), min_size=min_requests, max_size=max_requests))
    return Backlog(tuple(listed), memory)


def assert_ratio(
    rule: Callable[[Backlog], Schedule],
    bound: Bound,
    *,
    max_requests: int = 6,
    max_memory: int = 12,
    examples: int = 200,
) -> None:
    """Raise AssertionError unless TEL(rule) <= bound * OPT on all backlogs tried.

    The optimum is exact, the schedule is validated, and a failure is shrunk to a small backlog,
    which the message names. The same backlogs are tried every time.

    Parameters
    ----------
    rule
        Any callable from a backlog to a schedule.
    bound
        A number, or a function of the backlog.
    max_requests, max_memory
        Sizes of the backlogs; the optimum takes well under a second up to 12 and 60.
    examples
        How many backlogs to try.

    Raises
    ------
    AssertionError
        The rule exceeds the bound; or `InvalidSchedule`, whatever the bound, if it breaks memory.
    InvalidInput
        A size that is no positive integer, or a bound that is no number.
    """
    require_integer("examples", examples, "backlogs", at_least=1)
    require_integer("max_requests", max_requests, "requests", at_least=1)
    require_integer("max_memory", max_memory, "tokens", at_least=1)
    if not callable(bound):
        _require_bound(bound)

    @settings(
        max_examples=examples,
        deadline=None,
        derandomize=True,
        database=None,
        report_multiple_bugs=False,
        phases=(Phase.explicit, Phase.generate, Phase.shrink),
        suppress_health_check=list(HealthCheck),
    )
    @given(backlogs(max_requests=max_requests, max_memory=max_memory))
    def within_bound(backlog: Backlog) -> None:
        latency = total_latency(backlog, rule(backlog))
        best = optimum(backlog)
        if not best.is_optimal:
            raise KeyboardInterrupt  # which is all that stops a search without a limit
        allowed = bound(backlog) if callable(bound) else bound
        _require_bound(allowed)
        if latency > allowed * best.latency:
            pairs = [(r.prompt_tokens, r.output_tokens) for r in backlog.requests]
            raise AssertionError(
                f"latency {latency} > {allowed} * optimum {best.latency} on "
                f"Backlog.of({pairs}, memory={backlog.memory})"
            )

    within_bound()


def _require_bound(bound: object) -> None:
    """No latency is above NaN: such a bound could not fail."""
    if isinstance(bound, bool) or not isinstance(bound, Real) or bound != bound:
        raise InvalidInput("bound", bound, "a number or a function that returns one")
