"""At practical sizes slot filling closes at least half of gate-and-route's gap to R*.

Evidence:

* small systems, exactly: slot filling beats every static layout under its optimal control and
  closes at least half of what any admissible policy can close; the losses add up to the gap;
* the published networks at 100 GPUs, in paired simulations on the same requests: how many times
  the gap is at least halved, each network decided by a one-sided t test;
* counted revenue does not exceed R*;
* the limit is that of gate-and-route: the fluid stands still at one point only, which earns R*
  (`finite_n_fluid`); on the named instances the gap is at least halved at every studied size,
  falls faster than n^(-1/2), and leaves no more than a margin in the limit; prefill occupancies
  stand at the plan's at the largest size (`finite_n_limit`).

Controls, through the same tests: gate-and-route in place of the policy that should improve on it;
the order of the classes reversed; a gate that never closes. The policy has no parameter; it was
chosen on networks drawn with other seeds than the published ones.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import ClassVar

import numpy as np
from scipy import stats

from ...fluid import Plan, plan
from ...theory import exact_rates, instance
from ...theory.claims import Grade
from ...theory.derivations import slot_filling
from ...theory.policies import GateAndRoute, Policy
from ...theory.policies.finite_size import SlotFilling
from ...theory.published_networks import published_networks
from ...theory.steady_state import decode_buffer_condition
from ..derived import derivation_evidence
from ..statistics import FAMILY_LEVEL, POWER
from ..verdict import Evidence, Findings, Level, Outcome, Report, outcome_of
from .finite_n_figures import gaps_figure, losses_figure, sizes_figure, small_systems_figure
from .finite_n_fluid import standstill_evidence
from .finite_n_limit import (
    TESTS,
    fitted,
    limits_evidence,
    occupancy_evidence,
    rates_evidence,
    sizes_evidence,
    spare,
)
from .finite_n_small_systems import exact_laws_evidence, small_systems, small_systems_evidence
from .finite_n_study import Duration, Pair, PairedLosses, paired_losses
from .instances import NAMED_INSTANCES

GPUS = 100
SHARE = {"quick": 0.5, "full": 0.8}
"""Part of the networks on which the gap has to be halved; the dozen of the quick level does not
resolve more than one half."""

SEED, PILOT_SEED = 21, 99
EVERY = {"quick": 10, "full": 1}
"""Every which of the published networks is studied."""

DURATION = {
    "quick": Duration(4, 5.0, 5.0, most_replications=8, requests=1e5),
    "full": Duration(4, 5.0, 6.0, most_replications=16, requests=3e5),
}
"""Settled by a pilot run with another seed: where requests are few, so that runs are cheap, they
are noisy."""
SIZES = {"quick": (25, 200), "full": (25, 100, 400, 1_600)}
SIZES_DURATION = {"quick": Duration(12, 5.0, 4.0), "full": Duration(10, 5.0, 6.0)}
"""Replications by the power, in pilot runs with `PILOT_SEED`, of the test that the gap is halved at
25 GPUs: 0.90 with 8 of the quick level's, 0.9997 with 12."""
LIMIT_MARGIN = {"quick": 0.002, "full": 0.001}
"""Largest limit gap, relative to R*, that still counts as none."""

CONTROLLED, CONTROL_SIZES, CONTROL_DURATION = "azure-h100", (50, 200), Duration(5, 5.0, 4.0)
"""Where a gate that never closes leaves a gap in the limit: of `PILOT_SEED` about 0.5 %."""

NETWORK_LEVEL = 0.05
"""Level of the test on one network; the number of rejections is judged at the family's."""


def improved(p: Plan) -> Pair:
    """Gate-and-route and slot filling."""
    return GateAndRoute(p), SlotFilling(p)


@dataclass(frozen=True)
class OpenGate(SlotFilling):
    """Slot filling with a gate that never closes."""

    name: ClassVar[str] = "slot-filling-open-gate"

    def admission_limit(self, gpus: int) -> float:
        """No limit."""
        return math.inf


def with_open_gate(p: Plan) -> Pair:
    """Slot filling and the same with a gate that never closes."""
    return SlotFilling(p), OpenGate(p)


def check(level: Level, report: Report) -> Findings:
    """Decide the claim at ``level``."""
    report("planning")
    published_plans = [plan(network) for network in published_networks()]
    plans = published_plans[:: EVERY[level]]
    named = [plan(instance(name)) for name in NAMED_INSTANCES]
    everything = [*published_plans, *named]
    derivation = slot_filling.derivation()
    for p in everything:
        _require_hypotheses(p)
    report("small systems, exactly")
    systems = small_systems(level)
    run = partial(_studied, report=report)
    published = run(plans, improved, GPUS, DURATION[level], "published networks")
    itself = [study.first_against_itself() for study in published]
    sizes = [
        study
        for gpus in SIZES[level]
        for study in run(named, improved, gpus, SIZES_DURATION[level], f"{gpus:,} GPUs")
    ]
    controlled = [plan(instance(CONTROLLED))]
    open_gate = [
        study
        for gpus in CONTROL_SIZES
        for study in run(
            controlled, with_open_gate, gpus, CONTROL_DURATION, f"open gate, {gpus:,} GPUs"
        )
    ]
    return Findings(
        evidence=(
            exact_laws_evidence(systems),
            small_systems_evidence(systems, "slot-filling"),
            halved_evidence(published, "slot filling", level),
            revenue_evidence([*published, *sizes]),
            sizes_evidence(sizes),
            rates_evidence(sizes),
            derivation_evidence(derivation),
            standstill_evidence(everything),
            limits_evidence(sizes, "slot filling", LIMIT_MARGIN[level]),
            occupancy_evidence(sizes),
        ),
        controls={
            "gate-and-route against itself": (
                small_systems_evidence(systems, "gate-and-route"),
                halved_evidence(itself, "gate-and-route", level),
            ),
            "the order of the classes reversed": (standstill_evidence(everything, reverse=True),),
            "a gate that never closes": (
                limits_evidence(open_gate, "slot filling, open gate", LIMIT_MARGIN[level]),
            ),
        },
        figures={
            "Gaps of the published networks": partial(gaps_figure, published),
            "Where the gap comes from": partial(losses_figure, published),
            "Gap against the number of GPUs": partial(sizes_figure, sizes),
            "Small systems": partial(small_systems_figure, systems),
        },
        data={"published": published, "sizes": sizes, "systems": systems},
    )


def halved_evidence(studies: Sequence[PairedLosses], who: str, level: Level) -> Evidence:
    """Whether the gap is at least halved on the claimed share of the networks.

    Each network is tested at `NETWORK_LEVEL`. If only g of m networks were good, the number of
    rejections would be at most g plus a binomial number out of m - g: that is the test of the
    claim, and likewise, with the roles exchanged, of its opposite.
    """
    count, share = len(studies), SHARE[level]
    least = math.ceil(share * count)
    more, less = _decided(studies)
    error = FAMILY_LEVEL / TESTS
    p_holds = _too_many(more, least - 1, count)
    p_refuted = _too_many(less, count - least, count)
    if p_holds <= error:
        outcome = Outcome.HOLDS
    else:
        outcome = Outcome.REFUTED if p_refuted <= error else Outcome.INCONCLUSIVE
    means = np.array([study.mean_gaps for study in studies])
    halved = int(np.sum(means[:, 1] <= means[:, 0] / 2))
    gain = np.array([(study.gaps[:, 0] - study.gaps[:, 1]).mean() for study in studies])
    return Evidence(
        name=f"{who} at least halves the gap of gate-and-route at n = {studies[0].gpus}",
        grade=Grade.ESTIMATED,
        outcome=outcome,
        claimed=f"on at least {share:.0%} of the networks ({least} of {count})",
        computed=f"{more} confirmed, {less} rejected, {halved} by their means; "
        f"mean gap {means[:, 0].mean():.2%} -> {means[:, 1].mean():.2%}",
        slack=(more - least) / count,
        detail=f"gain in revenue {gain.min():+.2%} ... {gain.max():+.2%} of R*, median "
        f"{np.median(gain):+.2%}; H0 per network: less than half is gone, paired one-sided t test "
        f"at level {NETWORK_LEVEL:g}, {min(len(s.gaps) for s in studies)} "
        f"replications or more, power {POWER:g} at "
        f"{_detectable(studies):.2%} of R* (median); H0 of the claim: fewer than {least} good "
        f"networks, p = {p_holds:.1g}, level {error:.2g} ({FAMILY_LEVEL:g} over {TESTS} tests)",
    )


def revenue_evidence(studies: Sequence[PairedLosses]) -> Evidence:
    """Whether counted revenue of the second policy exceeds R* more often than by chance."""
    error, count = FAMILY_LEVEL / TESTS, len(studies)
    excess = [fitted(study.revenue[:, 1] - 1) for study in studies]
    above = sum(f.interval(2 * NETWORK_LEVEL)[0] > 0 for f in excess)
    p_value = float(stats.binom.sf(above - 1, count, NETWORK_LEVEL))
    detectable = np.median([f.detectable(NETWORK_LEVEL, sides=1) for f in excess])
    return Evidence(
        name="counted revenue does not exceed R*",
        grade=Grade.ESTIMATED,
        outcome=outcome_of(p_value > error),
        claimed=f"<= R* on {count} networks and sizes",
        computed=f"significantly above on {above}, where chance alone explains "
        f"{NETWORK_LEVEL * count:.1f}; mean {1 + np.mean([f.value for f in excess]):.4f} R*",
        slack=p_value - error,
        detail=f"H0 for each: revenue <= R*, one-sided t test at level {NETWORK_LEVEL:g}, power "
        f"{POWER:g} at an excess of {detectable:.2%} (median); H0 of all: as many rejections by "
        f"chance, p = {p_value:.1g}, level {error:.2g}",
    )


def _studied(
    plans: Sequence[Plan],
    pair: Callable[[Plan], tuple[Policy, Policy]],
    gpus: int,
    duration: Duration,
    what: str,
    *,
    report: Report,
) -> list[PairedLosses]:
    total = sum(duration.replications_of(p, gpus) for p in plans)
    done = _Counter(report, what, total)
    return paired_losses(plans, pair, gpus, duration, SEED, done)


@dataclass
class _Counter:
    """Reports how many replications are done."""

    report: Report
    what: str
    total: int
    done: int = 0

    def __call__(self) -> None:
        self.done += 1
        self.report(f"{self.what}: {self.done} of {self.total}")


def _require_hypotheses(p: Plan) -> None:
    if not decode_buffer_condition(exact_rates(p.network)):
        raise ArithmeticError("kappa < (B-1)/B, R* is no bound for static layouts")
    if min(p.network.per_class("patience_rate")) <= 0:
        raise ArithmeticError("a class has patience rate 0, a stationary regime is not sure")


def _decided(studies: Sequence[PairedLosses]) -> tuple[int, int]:
    """Networks on which the gap is significantly halved, and significantly not."""
    intervals = [fitted(spare(study)).interval(2 * NETWORK_LEVEL) for study in studies]
    return sum(low > 0 for low, _ in intervals), sum(high < 0 for _, high in intervals)


def _too_many(rejections: int, true: int, count: int) -> float:
    """P-value: as many rejections although the rejected hypothesis is false only ``true`` times."""
    return float(stats.binom.sf(rejections - true - 1, count - true, NETWORK_LEVEL))


def _detectable(studies: Sequence[PairedLosses]) -> float:
    effects = [fitted(spare(s)).detectable(NETWORK_LEVEL, sides=1) for s in studies]
    return float(np.median(effects))
