r"""Theorem 5.1 with penalties: the plan of program (49) is tracked, and its value reached.

A penalty on each of the paper's SLIs in turn, on the paper's instance, with weights at which the
plan is another than without and sends a class to both pools. By equivalence tests in the limit of
many GPUs: every class's occupancies are the plan's, and the penalised objective

.. math:: \frac1n \mathbb E \Big[ \sum_i w_i (\mu_{m,i} Y_{m,i} + \mu_{s,i} Y_{s,i}) \Big]
          - \mathbb E \Big[ \sum_k l_k(X/n, Y_m/n, Y_s/n) \Big]

is the value of (49). Penalties are evaluated at the states of the chain, sampled after the
warm-up, and averaged after that: a convex penalty of a mean would be too small. Gaps are relative
to the plan's *revenue*, for a value of (49) may be near 0 or negative.

The weight on decode fairness is below 4 per decode: from there on the optimum of (49) lets decodes
wait, q_d* > 0, and a hypothesis of the theorem fails (found by exact plans; the control).

Controls, each judged by the same tests: the solo-first router on a penalised plan; the plan
without a penalty, which earns more and is charged for it; a weight with q_d* > 0.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from ...fluid.penalised import PenalisedPlan, penalised_plan
from ...stochastic import COUNTS, Estimate
from ...theory import GateAndRoute, Policy, ServingNetwork, SliAware, rates
from ...theory.penalties import (
    DecodeFairnessPenalty,
    Penalty,
    PrefillFairnessPenalty,
    TimePerOutputTokenPenalty,
)
from ..statistics import GapCurve, fitted_limit
from ..verdict import Evidence, Findings, Level, Report
from .figures import objective_figure
from .gap_study import Design, gap_curve, revenue_gaps, simulated_sizes
from .occupancy_evidence import limits_evidence, occupancies_evidence
from .sli_hypotheses import hypotheses_evidence, penalties_evidence

PENALTIES: dict[str, Penalty] = {
    "penalised prefill fairness": PrefillFairnessPenalty(950),
    "penalised decode fairness": DecodeFairnessPenalty(3),
    "penalised TPOT": TimePerOutputTokenPenalty(90_400),
}
"""The last one's optimum lies inside an edge of the feasible set, where the penalty is curved."""

WITH_QUEUES = DecodeFairnessPenalty(12)
"""A penalty whose program has no optimum with q_d* = 0."""

ROUTED_BLINDLY = "penalised decode fairness"

DESIGNS: dict[Level, Design] = {
    "quick": Design((400, 1_600, 6_400), (8, 8, 8), 150, 200, settled_from=400),
    "full": Design((800, 3_200, 12_800), (16, 16, 16), 150, 300, settled_from=800),
}

MARGIN = {"quick": 0.01, "full": 0.006}
"""Largest deviation in the limit, per slot of the stage or relative to the revenue, that is none."""

STAGES = ("prefill", "mixed_decode", "solo_decode", "decode_queue")


@dataclass(frozen=True)
class PenalisedStudy:
    """Estimates at increasing sizes, and gaps of the penalised objective to the plan's value."""

    plan: PenalisedPlan
    estimates: tuple[Estimate, ...]
    curve: GapCurve
    settled_from: int

    @classmethod
    def of(cls, p: PenalisedPlan, estimates: Sequence[Estimate], design: Design) -> PenalisedStudy:
        """Judge simulations, of whatever policy, by the objective of a penalised plan."""
        curve = gap_curve([objective_gaps(p, estimate) for estimate in estimates], design)
        return cls(p, tuple(estimates), curve, design.settled_from)

    @property
    def settled(self) -> GapCurve:
        """The part of the curve on which limits are fitted."""
        return self.curve.starting_at(self.settled_from)


def penalised_findings(
    network: ServingNetwork,
    unpenalised: Sequence[Estimate],
    unpenalised_design: Design,
    level: Level,
    seed: int,
    tests: int,
    report: Report,
) -> Findings:
    """Evidence and controls for penalties.

    Parameters
    ----------
    unpenalised, unpenalised_design
        Simulations of the plan without penalties under its own policy.
    tests
        Number of tests that share the family-wise level.
    """
    plans = {name: penalised_plan(network, penalties=(l,)) for name, l in PENALTIES.items()}
    waiting = penalised_plan(network, penalties=(WITH_QUEUES,))
    evidence = [hypotheses_evidence(plans), penalties_evidence(plans)]
    studies, without = {}, {}
    for name, p in plans.items():
        studies[name] = _study(name, p, SliAware(p), DESIGNS[level], seed, report)
        without[name] = PenalisedStudy.of(p, unpenalised, unpenalised_design)
        evidence.append(_occupancies(name, studies[name], DESIGNS[level], level, tests))
        evidence.append(objective_evidence(name, studies[name], level, tests))
    p = plans[ROUTED_BLINDLY]
    label, design = f"solo-first router, {ROUTED_BLINDLY}", DESIGNS["quick"]
    blind = _study(label, p, GateAndRoute(p), design, seed, report)
    return Findings(
        evidence=tuple(evidence),
        controls={
            label: (
                _occupancies(label, blind, design, level, tests),
                objective_evidence(label, blind, level, tests),
            ),
            **{
                f"the plan without a penalty, {name}": (
                    objective_evidence(name, study, level, tests),
                )
                for name, study in without.items()
            },
            f"decode fairness at {WITH_QUEUES.weight:g} per decode": (
                hypotheses_evidence({"decode queues pay": waiting}),
            ),
        },
        figures=_figures(studies, without),
        data={"penalised": studies, "without penalty": without, "penalised, solo first": blind},
    )


def objective_gaps(p: PenalisedPlan, estimate: Estimate) -> NDArray[np.float64]:
    """Gap of each replication's penalised objective to the plan's value, over the revenue."""
    charged = replicated_penalties(p.penalties, p.network, estimate)
    gaps: NDArray[np.float64] = (revenue_gaps(p, estimate) + charged) / float(p.revenue)
    return gaps


def replicated_penalties(
    penalties: Sequence[Penalty], network: ServingNetwork, estimate: Estimate
) -> NDArray[np.float64]:
    """Time average over each replication's sampled states of the sum of ``penalties``."""
    states = {
        stage: np.moveaxis(estimate.trajectories[:, :, k], -1, 0) for k, stage in enumerate(COUNTS)
    }
    rate = rates(network)
    charged = sum(penalty.weight * penalty.measure(rate, states) for penalty in penalties)
    return np.mean(charged, axis=1)


def objective_evidence(name: str, study: PenalisedStudy, level: Level, tests: int) -> Evidence:
    """Whether the penalised objective tends to the value of the plan."""
    p = study.plan
    return limits_evidence(
        f"{name}: revenue minus penalty",
        {"objective's gap": fitted_limit(study.settled)},
        margin=MARGIN[level],
        tests=tests,
        scale=f"the revenue {float(p.revenue):.3f} around the value {float(p.value):.3f}",
    )


def _study(
    name: str, p: PenalisedPlan, policy: Policy, design: Design, seed: int, report: Report
) -> PenalisedStudy:
    estimates = simulated_sizes(name, p.network, policy, design, seed, report)
    return PenalisedStudy.of(p, estimates, design)


def _occupancies(
    name: str, study: PenalisedStudy, design: Design, level: Level, tests: int
) -> Evidence:
    return occupancies_evidence(
        f"{name}: occupancies",
        study.plan.network,
        study.plan,
        design,
        study.estimates,
        STAGES,
        margin=MARGIN[level],
        tests=tests,
    )


def _figures(
    studies: Mapping[str, PenalisedStudy], without: Mapping[str, PenalisedStudy]
) -> dict[str, Callable[[], Figure]]:
    pairs = {
        name: {"penalised plan": study, "plan without a penalty": without[name]}
        for name, study in studies.items()
    }
    return {"Penalised objective against the number of GPUs": partial(objective_figure, pairs)}
