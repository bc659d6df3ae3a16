"""Smallest volume first: Lemma A.2, Proposition 3.1, Theorem 3.2 and a sharper bound (ours).

Evidence: the algebra; every statement on all backlogs up to a stated size and on random
backlogs against exact optima, for both admission tests. Control: volume without its growth term,
s o in place of s o + o (o + 1) / 2, in the order.
"""

from __future__ import annotations

from collections.abc import Iterable
from fractions import Fraction

from ...fluid.backlog import fast_list_schedule
from ...theory.backlog import (
    Backlog,
    fits,
    mean_busy_time_bound,
    peaks_fit,
    total_latency,
    volume_bound,
)
from ...theory.backlog import smallest_volume_first as svf
from ...theory.claims import Grade
from ...theory.derivations import smallest_volume_first as derivations
from ..derived import derivation_evidence
from ..verdict import Evidence, Findings, Level, Report, outcome_of
from .instances import Solved, all_solved_one_by_one, random_solved
from .slacks import least_slacks, slack_evidence

EVERY_UP_TO = {"quick": (4, 4), "full": (4, 6)}
RANDOM = {"quick": 300, "full": 5000}
SEED = 20260622


def check(level: Level, report: Report) -> Findings:
    """Decide svf-bound."""
    report("algebra of the lemmas")
    proofs = tuple(derivation_evidence(step) for step in derivations.chain())
    report("every small backlog")
    requests, memory = EVERY_UP_TO[level]
    every = slack_evidence(
        f"every backlog of at most {requests} requests, M <= {memory}",
        Grade.EXHAUSTED,
        least_slacks(_slacks(all_solved_one_by_one(requests, memory))),
        "both admission tests, exact optima",
    )
    report("random backlogs against exact optima")
    sample = slack_evidence(
        f"{RANDOM[level]} random backlogs",
        Grade.CERTIFIED,
        least_slacks(_slacks(random_solved(RANDOM[level], SEED, most_requests=9))),
        "both admission tests, exact optima",
    )
    return Findings(
        evidence=(*proofs, every, sample),
        controls={"volume without the growth term": (_without_growth(),)},
    )


def _slacks(cases: Iterable[Solved]) -> Iterable[dict[str, Fraction]]:
    for case in cases:
        backlog, best = case.backlog, case.best.latency
        for admission in (fits, peaks_fit):
            schedule = svf.smallest_volume_first(backlog, admission)
            latency = total_latency(backlog, schedule)
            yield {
                "Lemma A.2": Fraction(svf.waiting_slack(backlog, schedule)),
                "Proposition 3.1": best - volume_bound(backlog),
                "mean busy time bound": best - mean_busy_time_bound(backlog),
                "Theorem 3.2": Fraction(svf.composition_slack(backlog, latency, best)),
                "sharper bound": svf.sharper_slack(backlog, latency, best),
            }


def without_growth_failure(scale: int) -> Backlog:
    """Long requests without prompts, whose s o is 0, before short ones with prompts."""
    memory = 4 * scale**2
    return Backlog.of([(0, memory // 2)] * (2 * scale) + [(1, 1)] * (scale * memory), memory)


def _without_growth() -> Evidence:
    """Order by s o on a backlog where it starts the long requests first."""
    backlog = without_growth_failure(6)
    order = sorted(
        range(len(backlog)),
        key=lambda i: (backlog.requests[i].prompt_tokens * backlog.requests[i].output_tokens, i),
    )
    latency = total_latency(backlog, fast_list_schedule(backlog, order))
    other = total_latency(backlog, fast_list_schedule(backlog, svf.volume_order(backlog)))
    slack = svf.composition_slack(backlog, latency, other)
    memory, peak = backlog.memory, backlog.largest_peak
    return Evidence(
        name=f"Theorem 3.2 for the order by s o, M = {memory}, {len(backlog):,} requests",
        grade=Grade.REFUTED,
        outcome=outcome_of(slack >= 0),
        claimed=f"ratio <= {float(Fraction(3 * memory - peak, memory - peak)):.3f}",
        computed=f"ratio at least {latency / other:.3f}",
        slack=float(Fraction(slack, (memory - peak) * other)),
        detail="long requests have s o = 0 and start first; against the order by volume",
    )
