"""Verification: run the checks of the registered claims and collect their verdicts."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

from ..theory.claims import CLAIMS, claim
from ..theory.errors import InvalidInput
from .backlog import (
    latency_gain,
    lp_lower_bound,
    np_hard,
    output_length_errors,
    ratio_interval,
    sorted_f_bound,
    svf_bound,
    unbounded_ratio,
)
from .ledger import Ledger
from .networks import (
    beyond_exponential,
    bundled_knapsack,
    bundled_optimality,
    constant_price_ratio,
    convergence_rate,
    decode_buffer_drains,
    decode_buffer_elimination,
    finite_n_policy,
    fluid_limit,
    fluid_tracking,
    general_sli_policy,
    heuristics_suboptimal,
    iteration_time_law,
    price_of_slis,
    revenue_upper_bound,
    separate_concave,
    separate_optimality,
    sli_optimality,
)
from .networks.hypotheses import check as hypotheses
from .verdict import LEVELS, Findings, Level, Report, Verdict

CHECKS: dict[str, Callable[[Level, Report], Findings]] = {
    "iteration-time-law": iteration_time_law.check,
    "fluid-limit": fluid_limit.check,
    "decode-buffer-elimination": decode_buffer_elimination.check,
    "bundled-knapsack": bundled_knapsack.check,
    "separate-concave": separate_concave.check,
    "revenue-upper-bound": revenue_upper_bound.check,
    "bundled-optimality": bundled_optimality.check,
    "fluid-tracking": fluid_tracking.check,
    "decode-buffer-drains": decode_buffer_drains.check,
    "separate-optimality": separate_optimality.check,
    "sli-optimality": sli_optimality.check,
    "general-sli-policy": general_sli_policy.check,
    "heuristics-suboptimal": heuristics_suboptimal.check,
    "price-of-slis": price_of_slis.check,
    "constant-price-ratio": constant_price_ratio.check,
    "finite-n-policy": finite_n_policy.check,
    "convergence-rate": convergence_rate.check,
    "beyond-exponential": beyond_exponential.check,
    "hypotheses-needed": hypotheses.check,
    "backlog-np-hard": np_hard.check,
    "fcfs-unbounded": unbounded_ratio.check_first_come,
    "shortest-first-unbounded": unbounded_ratio.check_shortest_output,
    "shortest-total-unbounded": unbounded_ratio.check_shortest_total,
    "sorted-f-48": sorted_f_bound.check_published,
    "sorted-f-small-requests": sorted_f_bound.check_small_requests,
    "sorted-f-approximate-batches": sorted_f_bound.check_approximate,
    "sorted-f-ratio-interval": ratio_interval.check,
    "svf-bound": svf_bound.check,
    "lp-lower-bound": lp_lower_bound.check,
    "backlog-latency-gain": latency_gain.check,
    "output-length-errors": output_length_errors.check,
}
"""The check of every registered claim."""


def verify(
    claim_ids: Sequence[str] = (),
    level: Level = "quick",
    report: Callable[[str, str], None] | None = None,
    decided: Callable[[Verdict], None] | None = None,
) -> Ledger:
    """Decide the named claims, or all.

    Parameters
    ----------
    claim_ids
        Claims by id; empty for all, in the order of the registry.
    level
        ``"quick"`` (minutes on two cores) or ``"full"``.
    report
        Called with a claim's id and what its check is doing.
    decided
        Called with every verdict as it is reached.

    Raises
    ------
    InvalidInput
        An unknown claim or level.
    """
    if level not in LEVELS:
        raise InvalidInput("level", level, f"one of {', '.join(LEVELS)}")
    selected = [claim(claim_id) for claim_id in claim_ids] or list(CLAIMS)
    verdicts = []
    for each in selected:
        started = time.perf_counter()
        findings = CHECKS[each.claim_id](level, _reporter(report, each.claim_id))
        verdict = Verdict(each, level, findings, time.perf_counter() - started)
        if decided is not None:
            decided(verdict)
        verdicts.append(verdict)
    return Ledger(tuple(verdicts))


def _reporter(report: Callable[[str, str], None] | None, claim_id: str) -> Report:
    def say(doing: str) -> None:
        if report is not None:
            report(claim_id, doing)

    return say
