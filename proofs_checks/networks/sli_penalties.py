r"""Theorem 5.1 with penalties: the plan of program (49) is tracked, and its value reached.

A penalty on each of the paper's SLIs in turn, on the paper's instance, with weights at which the
plan is another than without and one class is sent to both pools. By equivalence tests in the limit
of many GPUs: every class's occupancies are the plan's, and the penalised objective

.. math:: \frac1n \mathbb E \Big[ \sum_i w_i (\mu_{m,i} Y_{m,i} + \mu_{s,i} Y_{s,i}) \Big]
          - \mathbb E \Big[ \sum_k l_k(X/n, Y_m/n, Y_s/n) \Big]

is the value of (49). Penalties are evaluated at the states of the chain, sampled after the
warm-up, and then averaged; that of the mean state would be too small, for penalties are convex.
Gaps are relative to the plan's *revenue*: a value of (49) may be near 0 or negative.

Decode fairness is penalised under the bound on the TPOT of the specifications without penalties.
Alone, a weight of 4 per decode or more makes decodes wait in every optimum of (49), which the
theorem excludes (a control). Below that the prefills are those without any SLI, one class stands
at the edge of being served in full, and in pilot runs sqrt(n) gap settled at 25,600 to 100,000
GPUs only (the gap was 0.4 % there).

Controls, each judged by the same tests: the solo-first router on a penalised plan; the plans
without the penalty, which earn more and are charged for it; the weight that makes decodes wait.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from ...fluid import Plan
from ...fluid.penalised import PenalisedPlan, penalised_plan
from ...stochastic import COUNTS, Estimate
from ...theory import GateAndRoute, ServingNetwork, SliAware, rates
from ...theory.penalties import (
    DecodeFairnessPenalty,
    Penalty,
    PrefillFairnessPenalty,
    TimePerOutputTokenPenalty,
)
from ..statistics import GapCurve, fitted_limit
from ..verdict import Evidence, Findings, Level, Report
from .figures import objective_figure
from .gap_study import Design, GapStudy, gap_curve, revenue_gaps, simulated_sizes
from .occupancy_evidence import limits_evidence, occupancies_evidence
from .sli_hypotheses import hypotheses_evidence, penalties_evidence

PENALTIES: dict[str, tuple[str, Penalty]] = {
    "penalised prefill fairness": ("no SLI", PrefillFairnessPenalty(950)),
    "penalised decode fairness": ("TPOT", DecodeFairnessPenalty(8)),
    "penalised TPOT": ("no SLI", TimePerOutputTokenPenalty(90_400)),
}
"""The study without the penalty, whose SLIs hold as well, and the penalty.

The last optimum lies inside an edge of the feasible set, where the penalty is curved."""

WITH_QUEUES = DecodeFairnessPenalty(12)
"""Alone it has no optimum with q_d* = 0."""

ROUTED_BLINDLY = "penalised decode fairness"

DESIGNS: dict[Level, Design] = {
    "quick": Design((800, 2_400, 7_200), (8, 8, 6), 150, 200, settled_from=800),
    "full": Design((800, 3_200, 9_600), (16, 16, 14), 150, 300, settled_from=800),
}
"""Fixed, like weights and margins, by pilot runs with seed 17."""

MARGIN = {"quick": 0.01, "full": 0.006}
"""Largest deviation in the limit, per slot of a stage or relative to the revenue, that is none."""

STAGES = ("prefill", "mixed_decode", "solo_decode", "decode_queue")

TESTS = len(PENALTIES) * (2 * len(STAGES) + 1)
"""Occupancies of two classes and an objective per penalty."""


@dataclass(frozen=True)
class PenalisedStudy:
    """Estimates at increasing sizes, and gaps of the penalised objective to the plan's value."""

    plan: PenalisedPlan
    estimates: tuple[Estimate, ...]
    curve: GapCurve
    settled_from: int

    @classmethod
    def of(
        cls, p: PenalisedPlan, estimates: Sequence[Estimate], settled_from: int
    ) -> PenalisedStudy:
        """Judge simulations, of whatever policy, by the objective of a penalised plan."""
        curve = gap_curve(
            [objective_gaps(p, estimate) for estimate in estimates], [e.gpus for e in estimates]
        )
        return cls(p, tuple(estimates), curve, settled_from)

    @property
    def settled(self) -> GapCurve:
        """The part of the curve on which limits are fitted."""
        return self.curve.starting_at(self.settled_from)


def penalised_plans(unpenalised: Mapping[str, Plan]) -> dict[str, PenalisedPlan]:
    """A plan for every penalty; ``unpenalised`` has those without, by the names in `PENALTIES`."""
    return {
        name: penalised_plan(
            unpenalised[base].network, slis=unpenalised[base].slis, penalties=(penalty,)
        )
        for name, (base, penalty) in PENALTIES.items()
    }


def penalised_findings(
    plans: Mapping[str, PenalisedPlan],
    unpenalised: Mapping[str, GapStudy],
    level: Level,
    seed: int,
    tests: int,
    report: Report,
) -> Findings:
    """Evidence and controls for penalties.

    Parameters
    ----------
    plans
        From `penalised_plans`.
    unpenalised
        Studies of the plans without penalties under their own policy.
    tests
        Number of tests that share the family-wise level.
    """
    p = plans[ROUTED_BLINDLY]
    network = p.network
    waiting = penalised_plan(network, penalties=(WITH_QUEUES,))
    evidence = [penalties_evidence(plans)]
    studies, without = {}, {}
    for name, each in plans.items():
        estimates = simulated_sizes(name, network, SliAware(each), DESIGNS[level], seed, report)
        studies[name] = PenalisedStudy.of(each, estimates, DESIGNS[level].settled_from)
        base = unpenalised[PENALTIES[name][0]]
        without[name] = PenalisedStudy.of(each, base.estimates, base.settled_from)
        evidence += penalised_evidence(name, studies[name], DESIGNS[level], level, tests)
    label, design = f"solo-first router, {ROUTED_BLINDLY}", DESIGNS["quick"]
    estimates = simulated_sizes(label, network, GateAndRoute(p), design, seed, report)
    blind = PenalisedStudy.of(p, estimates, design.settled_from)
    return Findings(
        evidence=tuple(evidence),
        controls={
            label: tuple(penalised_evidence(label, blind, design, level, tests)),
            **{
                f"the plan without the penalty, {name}": (
                    objective_evidence(name, study, level, tests),
                )
                for name, study in without.items()
            },
            f"decode fairness alone, at {WITH_QUEUES.weight:g} per decode": (
                hypotheses_evidence({"decodes wait": waiting}),
            ),
        },
        figures=_figures(studies, without),
        data={"penalised": studies, "without penalty": without, "penalised, solo first": blind},
    )


def penalised_evidence(
    name: str, study: PenalisedStudy, design: Design, level: Level, tests: int
) -> list[Evidence]:
    """Occupancies and objective of one specification in the limit."""
    occupancies = occupancies_evidence(
        f"{name}: occupancies",
        study.plan.network,
        study.plan,
        design,
        study.estimates,
        STAGES,
        margin=MARGIN[level],
        tests=tests,
    )
    return [occupancies, objective_evidence(name, study, level, tests)]


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
    return np.asarray(np.mean(charged, axis=1), dtype=np.float64)


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


def _figures(
    studies: Mapping[str, PenalisedStudy], without: Mapping[str, PenalisedStudy]
) -> dict[str, Callable[[], Figure]]:
    pairs = {
        name: {"penalised plan": study, "plan without the penalty": without[name]}
        for name, study in studies.items()
    }
    return {"Penalised objective against the number of GPUs": partial(objective_figure, pairs)}
