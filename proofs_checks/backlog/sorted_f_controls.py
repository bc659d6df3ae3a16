"""Faults that refute a constant for Sorted-F: families, wrong rules, wrong constants of lemmas.

Each returns evidence for a statement that is wrong; as a control it must come out refuted.
"""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from math import isqrt

from ...fluid.backlog import fast_list_schedule, sorted_f_batches_fast
from ...theory.backlog import (
    Backlog,
    Schedule,
    batch_order,
    f_metric,
    sorted_f_batches,
    total_latency,
)
from ...theory.backlog import sorted_f_chain as chain
from ...theory.backlog.counterexamples import SHORTEST_OUTPUT
from ...theory.backlog.gated_family import GatedFamily
from ...theory.backlog.sorted_f_chain import PUBLISHED_CONSTANT, SortedF
from ...theory.claims import Grade
from ..verdict import Evidence, outcome_of


def constant_two() -> Evidence:
    """Whether a member of the gated family stays within 2; its batches start together."""
    member = GatedFamily(8, 8, 32_768)
    backlog = member.backlog
    order = batch_order(backlog, sorted_f_batches_fast(backlog, "common-start"))
    latency = total_latency(backlog, fast_list_schedule(backlog, order))
    other = total_latency(backlog, member.reference)
    return Evidence(
        name=f"TEL(Sorted-F) <= 2 * OPT on the gated family, {len(backlog)} requests",
        grade=Grade.CERTIFIED,
        outcome=outcome_of(latency <= 2 * other),
        claimed="<= 2",
        computed=f"at least {latency / other:.3f}, against the reference schedule",
        slack=2 - latency / other,
        detail="both schedules validated step by step",
    )


def skipping() -> Evidence:
    """Phase two that passes over blocked requests: the long one at the end starts, and blocks."""
    memory = 20_000
    fillers = [(memory - 1, 1)] * isqrt(2 * memory)
    backlog = Backlog.of([(memory // 2, 1), *fillers, (1, memory - 2)], memory)
    order = batch_order(backlog, sorted_f_batches_fast(backlog))
    latency = total_latency(backlog, fast_list_schedule(backlog, order, blocked="skip"))
    other = total_latency(backlog, fast_list_schedule(backlog, order))
    ratio = Fraction(latency, other)
    return Evidence(
        name=f"TEL <= 48 * OPT with blocked requests skipped in phase two, M = {memory:,}",
        grade=Grade.REFUTED,
        outcome=outcome_of(ratio <= PUBLISHED_CONSTANT),
        claimed="<= 48",
        computed=f"at least {float(ratio):.1f}, against the same order kept strictly",
        slack=PUBLISHED_CONSTANT - float(ratio),
        detail=f"(s, o) = (M/2, 1), {len(fillers)} of (M - 1, 1), (1, M - 2); grows like sqrt(M/2)",
    )


def mean_output(backlog: Backlog, batch: Sequence[int]) -> Fraction:
    """The metric with the size in place of its square: the mean output."""
    return f_metric(backlog, batch) * len(batch)


def plain_size_metric() -> Evidence:
    """Batches of least mean output: shortest output first in disguise.

    A batch of least mean output holds shortest requests alone, so phase two runs by output. That
    is tried by definition on a small member of the family on which shortest output first fails
    and used on a large one, where the ratio passes 48.
    """
    small = SHORTEST_OUTPUT.family.backlog(9)
    batches = sorted_f_batches(small, metric=mean_output)
    outputs = [{small.requests[i].output_tokens for i in batch} for batch in batches]
    by_output = all(len(o) == 1 for o in outputs) and outputs == sorted(outputs, key=min)
    large = SHORTEST_OUTPUT.family.backlog(200_000)
    order = sorted(range(len(large)), key=lambda i: (large.requests[i].output_tokens, i))
    latency = total_latency(large, fast_list_schedule(large, order))
    other = total_latency(large, fast_list_schedule(large, order[::-1]))
    ratio = Fraction(latency, other)
    return Evidence(
        name=f"TEL <= 48 * OPT with batches of least mean output, M = {large.memory:,}",
        grade=Grade.REFUTED,
        outcome=outcome_of(not by_output or ratio <= PUBLISHED_CONSTANT),
        claimed="<= 48",
        computed=f"at least {float(ratio):.1f}, against the schedule by longest output",
        slack=PUBLISHED_CONSTANT - float(ratio),
        detail=f"{len(large):,} requests; both schedules validated step by step",
    )


def staggered_triangles(unit: int, requests: int) -> tuple[Backlog, Schedule]:
    """Requests without prompts, o = 3 q - 1 and M = 2 o - 1, one started every q steps.

    No two fit into a batch, so F = o; but three triangles of different ages fit at a time, and
    completions come at the rate 1/q, which tends to 3/F.
    """
    output = 3 * unit - 1
    backlog = Backlog.of([(0, output)] * requests, 2 * output - 1)
    return backlog, Schedule(tuple(unit * place for place in range(requests)))


def staggered_pairs(constant: Fraction) -> Evidence:
    """Triangles of peak M/3: batches are pairs, but five of different ages fit at a time."""
    output, every, requests = 40, 9, 60
    backlog = Backlog.of([(0, output)] * requests, 3 * output - 1)
    schedule = Schedule(tuple(every * place for place in range(requests)))
    run = SortedF(backlog, tuple((i, i + 1) for i in range(0, requests, 2)))
    slack = chain.completions_slack(run, schedule, constant)
    return Evidence(
        name=f"L4 with c = {constant} on staggered triangles, peak {output}, M = {backlog.memory}",
        grade=Grade.REFUTED,
        outcome=outcome_of(slack >= 0),
        claimed=f"at most {constant} tau / F requests complete by tau",
        computed=f"{float(-slack):.1f} too many",
        slack=float(slack),
        detail=f"one of {requests} requests started every {every} steps; validated step by step",
    )


def careless_batches() -> Evidence:
    """A long request first, before a thousand short ones that fit together: 48 without beta."""
    backlog = Backlog.of([(99_900, 100)] + [(99, 1)] * 1000, memory=100_000)
    run = SortedF(backlog, ((0,), tuple(range(1, 1001))))
    other = total_latency(backlog, fast_list_schedule(backlog, range(1000, -1, -1)))
    ratio = Fraction(run.latency, other)
    return Evidence(
        name="TEL <= 48 * OPT for a batch choice with beta = 100,000",
        grade=Grade.REFUTED,
        outcome=outcome_of(ratio <= PUBLISHED_CONSTANT),
        claimed="<= 48",
        computed=f"at least {float(ratio):.1f}",
        slack=PUBLISHED_CONSTANT - float(ratio),
        detail="(s, o) = (99900, 100), then 1,000 of (99, 1), M = 100,000; against the reverse",
    )
