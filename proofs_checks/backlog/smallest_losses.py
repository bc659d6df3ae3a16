r"""Small backlogs on which a rule loses more than a given factor, fewest requests first.

*How many requests it takes.* A rule that runs requests in an order starts each one by the time at
which all before it are done, so its latency is at most :math:`\sum_i (n - i + 1) o_i`, in that
order, and no schedule's is less than :math:`\sum_i o_i`. The first is at most n times the second;
with ascending outputs at most (n + 1) / 2 times. To lose more than r takes at least r + 1
requests, and at least 2 r if the shortest output goes first.

*Backlogs that do it*, in the order in which the rule takes them, one for every integer r > 1:

* FCFS: one :math:`(r - 1, r^2 + 1)`, one :math:`(r^2, 1)` and r - 1 of (0, 1), with
  :math:`M = r (r + 1)`. The first runs alone, everything else after it at once: latency
  :math:`(r + 1)(r^2 + 1) + r`. The other way round it is :math:`r^2 + r + 2`.
* Shortest total: one (0, M) and r of (M - 1, 1), with :math:`M = (r - 1) r (r + 1) / 2 + r^2 + 1`.
* Shortest output: m of (0, 1) and a of (M - 1, 1) with M = m, alternating as long as there are
  large ones. All run one by one but the small ones left at the end: latency m (2 a + 1), against
  m + a (a + 3) / 2 with the small ones first; a and m are chosen with the fewest requests.

The first two have as few requests as it takes. That M cannot be smaller is exhausted where the
evidence says so; elsewhere the backlogs are the smallest found.

Source: derived.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import accumulate, pairwise, product

import numpy as np
import sympy

from ...fluid.backlog import optimal_latencies, optimum, schedule
from ...theory.backlog import Backlog, Request, total_latency
from ...theory.backlog.families import ORDER_KEYS
from ...theory.claims import Grade
from ...theory.derivations import Derivation, Inequality
from ..derived import derivation_evidence
from ..verdict import Evidence, Level, outcome_of

FACTORS = (2, 3, 5)


@dataclass(frozen=True)
class Range:
    """All backlogs with so many ``requests`` and at most ``memory`` tokens."""

    requests: int
    memory: int


EXHAUSTED: dict[Level, dict[tuple[str, int], tuple[Range, ...]]] = {
    "quick": {
        ("fcfs", 2): (Range(3, 5),),
        ("shortest-total", 2): (Range(3, 7),),
        ("shortest-output", 2): (Range(4, 5), Range(5, 4), Range(6, 3)),
    },
    "full": {
        ("fcfs", 2): (Range(3, 5),),
        ("fcfs", 3): (Range(4, 11),),
        ("shortest-total", 2): (Range(3, 7),),
        ("shortest-output", 2): (Range(4, 8), Range(5, 6), Range(6, 3)),
    },
}
"""Where no backlog loses more than the factor, by rule and factor."""


def small_backlog(rule: str, factor: int) -> Backlog:
    """The backlog of the module docstring on which ``rule`` loses more than ``factor``."""
    if rule == "fcfs":
        pairs = [(factor - 1, factor**2 + 1), (factor**2, 1)] + [(0, 1)] * (factor - 1)
        return Backlog.of(pairs, factor * (factor + 1))
    if rule == "shortest-total":
        memory = (factor - 1) * factor * (factor + 1) // 2 + factor**2 + 1
        return Backlog.of([(0, memory)] + [(memory - 1, 1)] * factor, memory)
    small, large = _alternating_numbers(factor)
    pairs = [(0, 1), (small - 1, 1)] * large + [(0, 1)] * (small - large)
    return Backlog.of(pairs, small)


def fewest_requests(rule: str, factor: int) -> int:
    """With fewer requests the rule cannot lose more than ``factor``."""
    return 2 * factor if rule == "shortest-output" else factor + 1


def fewest_requests_derivation(rule: str, factor: int) -> Derivation:
    """With one request less than `fewest_requests` the latency is at most ``factor`` sum o."""
    count = fewest_requests(rule, factor) - 1
    if rule == "shortest-output":
        steps = sympy.symbols(f"d_1:{count + 1}", nonnegative=True)
        outputs = [sum(steps[: i + 1], sympy.Integer(0)) for i in range(count)]
        because = tuple(
            (sympy.Rational(i * (count - i), 2), step) for i, step in enumerate(steps) if i
        )
    else:
        outputs = list(sympy.symbols(f"o_1:{count + 1}", nonnegative=True))
        because = tuple((sympy.Integer(i), output) for i, output in enumerate(outputs) if i)
    sequential = sum((count - i) * output for i, output in enumerate(outputs))
    return Derivation(
        title=f"{rule} loses at most a factor of {factor} on {count} requests",
        hypotheses=(),
        steps=(
            Inequality(
                "one after the other in the rule's order",
                sequential,
                factor * sum(outputs),
                because,
            ),
        ),
        conclusion=f"it takes at least {count + 1} requests to lose more than {factor}",
    )


def loss(backlog: Backlog, rule: str) -> Fraction:
    """Latency of the rule over the exact optimum."""
    best = optimum(backlog)
    if not best.is_optimal:
        raise ArithmeticError(f"no exact optimum of {backlog}")
    return Fraction(total_latency(backlog, schedule(backlog, rule)), best.latency)


def backlogs_losing_more(rule: str, factor: int, within: Range) -> Iterator[Backlog]:
    """Every backlog in the range on which ``rule`` loses more than ``factor``.

    The requests stand in the order in which the rule takes them. Whatever cannot lose so much
    because of its outputs, or of the memory that the first k completions take, is passed over.
    """
    for memory in range(1, within.memory + 1):
        candidates = _candidates(rule, factor, within.requests, memory)
        if not candidates:
            continue
        best = optimal_latencies(
            np.array([backlog.prompts for backlog, _ in candidates]),
            np.array([backlog.outputs for backlog, _ in candidates]),
            np.full(len(candidates), memory),
        )
        for (backlog, latency), least in zip(candidates, best.tolist(), strict=True):
            if latency > factor * least:
                yield backlog


def smallest_loss_evidence(rule: str, level: Level) -> list[Evidence]:
    """Evidence on the smallest backlogs on which ``rule`` loses more than 2, 3 and 5."""
    evidence = []
    for factor in FACTORS:
        evidence += [
            _small_backlog_evidence(rule, factor),
            derivation_evidence(fewest_requests_derivation(rule, factor)),
            *(
                _exhausted(rule, factor, within)
                for within in EXHAUSTED[level].get((rule, factor), ())
            ),
        ]
    return evidence


def _small_backlog_evidence(rule: str, factor: int) -> Evidence:
    backlog = small_backlog(rule, factor)
    found = loss(backlog, rule)
    return Evidence(
        name=f"{rule} loses more than a factor of {factor}: "
        f"{len(backlog)} requests, M = {backlog.memory}",
        grade=Grade.CERTIFIED,
        outcome=outcome_of(found > factor),
        claimed=f"> {factor}",
        computed=str(found),
        slack=float(found - factor),
        detail="rule's latency over the exact optimum; the fewest requests found, then the least M",
    )


def _exhausted(rule: str, factor: int, within: Range) -> Evidence:
    found = next(backlogs_losing_more(rule, factor, within), None)
    return Evidence(
        name=f"{rule} loses no more than a factor of {factor} on {within.requests} requests "
        f"with M <= {within.memory}",
        grade=Grade.EXHAUSTED,
        outcome=outcome_of(found is None),
        claimed="no such backlog",
        computed="none" if found is None else str(found),
        detail="every backlog, up to the order of requests that the rule does not look at",
    )


def _alternating_numbers(factor: int) -> tuple[int, int]:
    """Numbers of small and large requests, fewest together, then fewest small ones."""
    candidates = []
    for large in range(factor // 2 + 1, factor * (factor + 1)):
        # m (2 a + 1) > factor (m + a (a + 3) / 2), solved for the least integer m.
        small = factor * large * (large + 3) // (2 * (2 * large + 1 - factor)) + 1
        if small >= large:
            candidates.append((small + large, small, large))
    _, small, large = min(candidates)
    return small, large


def _candidates(rule: str, factor: int, count: int, memory: int) -> list[tuple[Backlog, int]]:
    """Backlogs, with the rule's latency, that a lower bound on the optimum does not clear."""
    candidates = []
    for requests in _in_the_order_of(rule, factor, count, memory):
        least = _least_latency(requests, memory)
        if _sequential_latency(requests) > factor * least:
            backlog = Backlog(requests, memory)
            # The rule has validated its schedule; millions of them need no second look.
            latency = sum(schedule(backlog, rule).starts) + int(backlog.outputs.sum())
            if latency > factor * least:
                candidates.append((backlog, latency))
    return candidates


def _in_the_order_of(
    rule: str, factor: int, count: int, memory: int
) -> Iterator[tuple[Request, ...]]:
    key = ORDER_KEYS[rule]
    fitting = {
        output: [Request(prompt, output) for prompt in range(memory - output + 1)]
        for output in range(1, memory + 1)
    }
    for outputs in product(fitting, repeat=count):
        if rule == "shortest-output" and any(a > b for a, b in pairwise(outputs)):
            continue
        if _sequential_latency([fitting[output][0] for output in outputs]) > factor * sum(outputs):
            for requests in product(*(fitting[output] for output in outputs)):
                if all(key(a) <= key(b) for a, b in pairwise(requests)):
                    yield requests


def _sequential_latency(requests: Sequence[Request]) -> int:
    """Upper bound: one after the other."""
    return sum(accumulate(request.output_tokens for request in requests))


def _least_latency(requests: Sequence[Request], memory: int) -> int:
    """Lower bound: until its k-th completion a schedule holds the k least volumes."""
    held = accumulate(sorted(request.volume for request in requests))
    by_volume = sum(-(-each // memory) for each in held)
    return max(by_volume, sum(request.output_tokens for request in requests))
