r"""Theorem 3.1: the scaled chain follows the fluid equations.

The distance between chain and fluid is :math:`D_n = \sup_t \max |Z^n(t)/n - z(t)|`, the maximum
over stages and classes and the supremum over a grid of `SPACING` seconds on [0, `HORIZON`]; both
start empty. The theorem says :math:`D_n \to 0`; that the rate is :math:`n^{-1/2}` is ours. Where
:math:`\sqrt n D_n` has settled (fixed in advance from a pilot with seed `PILOT_SEED`) the
exponent's interval must hold -1/2 and neither 0 nor -1, and the limit must be within a margin of
zero. The paper's instance under gate-and-route settles at about 100,000 GPUs only; there, and for
further policies, the distance must fall by more than half. Before anything is compared, the
fluid's own error must be ten times below the smallest distance.

Control: the fluid of a network with one wrong rate, through the same tests.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from ...fluid import plan
from ...fluid.dynamics import Trajectory, trajectory
from ...stochastic import simulate
from ...theory import ServingNetwork, instance
from ...theory.claims import Grade
from ...theory.policies import Policy, policy_named
from ..statistics import (
    FAMILY_LEVEL,
    SETTLING_LEVEL,
    Fitted,
    GapCurve,
    fitted_exponent,
    fitted_limit,
    settling_p_value,
)
from ..verdict import Evidence, Findings, Level, Outcome, Report, outcome_of
from .fluid_figures import distance_figure, paths_figure
from .gap_evidence import level_and_power

SEED, PILOT_SEED = 4, 77
HORIZON, SPACING = 40.0, 0.1
STEP = 0.002
FLUID_SHARE = 0.1
"""The fluid's own error, as a share of the smallest distance, that is small enough."""

MARGIN: dict[Level, float] = {"quick": 0.35, "full": 0.2}
"""Largest limit of the distance, requests per GPU, that still counts as none: of 16 slots per GPU,
and what the sizes and replications of the level resolve according to the pilot."""

WRONG_GAMMA = 0.9
"""The control's solo decode speed, as a share of the right one."""


@dataclass(frozen=True)
class Sizes:
    """Numbers of GPUs of a study, replications at each, and the size from which it has settled.

    None where it settles beyond the largest size.
    """

    gpus: tuple[int, ...]
    replications: tuple[int, ...]
    settled_from: int | None = None


SETTLED: dict[tuple[str, str], dict[Level, Sizes]] = {
    ("two-class", "fcfs"): {
        "quick": Sizes((10, 100, 1_000, 4_000, 16_000), (16, 16, 16, 12, 8), 1_000),
        "full": Sizes((10, 100, 1_000, 4_000, 16_000, 100_000), (32, 32, 32, 24, 16, 6), 1_000),
    },
    ("azure-h100", "gate-and-route"): {
        "quick": Sizes((10, 100, 1_000, 4_000, 16_000), (16, 16, 24, 12, 6), 1_000),
        "full": Sizes((10, 100, 1_000, 4_000, 16_000, 100_000), (32, 32, 48, 24, 12, 6), 1_000),
    },
}
"""Cases whose exponent is tested: instance and policy."""

FALLING: dict[Level, dict[tuple[str, str], Sizes]] = {
    "quick": {("two-class", "gate-and-route"): Sizes((100, 100_000), (16, 4))},
    "full": {
        ("two-class", "gate-and-route"): Sizes((100, 100_000), (16, 8)),
        ("two-class", "prioritize-and-route"): Sizes((100, 16_000), (16, 8)),
        ("two-class", "sli-aware"): Sizes((100, 100_000), (16, 8)),
        ("two-class", "sli-general"): Sizes((100, 100_000), (16, 8)),
        ("two-class", "disaggregated"): Sizes((100, 16_000), (16, 8)),
    },
}
"""Cases whose distance has to fall by more than half."""

PRICING = {"prioritize-and-route": "separate", "sli-general": "separate"}
"""Pricing of the plans of policies that are not meant for the bundled one."""


@dataclass(frozen=True)
class DistanceStudy:
    """The distance of a chain to ``fluid`` at increasing numbers of GPUs, requests per GPU.

    ``paths`` holds the chain's paths, shape (replications, grid, 5, classes) at every size.
    """

    label: str
    curve: GapCurve
    settled_from: int | None
    fluid: Trajectory
    paths: Mapping[int, NDArray[np.float64]]

    @property
    def settled(self) -> GapCurve:
        """The part of the curve on which the exponent and the limit are fitted."""
        if self.settled_from is None:
            raise ValueError(f"{self.label} settles beyond the studied sizes")
        return self.curve.starting_at(self.settled_from)


def check(level: Level, report: Report) -> Findings:
    """Decide the claim at ``level``."""
    tests = 2 * len(SETTLED) + len(FALLING[level])
    studies: dict[str, DistanceStudy] = {}
    evidence: list[Evidence] = []
    controls: dict[str, tuple[Evidence, ...]] = {}
    wrong: dict[str, DistanceStudy] = {}
    for (name, policy_name), sizes in SETTLED.items():
        network = instance(name)
        policy = policy_named(policy_name, plan(network))
        study = distance_study(f"{name}, {policy_name}", network, policy, sizes[level], report)
        studies[study.label] = study
        evidence += [
            fluid_error_evidence(study, network, policy),
            exponent_evidence(study, tests),
            limit_evidence(study, MARGIN[level], tests),
        ]
        mistaken = against(study, fluid_path(with_wrong_rate(network), policy))
        wrong[study.label] = mistaken
        controls[f"solo decode a tenth too slow in the fluid of {study.label}"] = (
            exponent_evidence(mistaken, tests),
            limit_evidence(mistaken, MARGIN[level], tests),
        )
    for (name, policy_name), sizes_falling in FALLING[level].items():
        network = instance(name)
        best = plan(network, PRICING.get(policy_name, "bundled"))
        policy = policy_named(policy_name, best)
        study = distance_study(f"{name}, {policy_name}", network, policy, sizes_falling, report)
        studies[study.label] = study
        evidence += [fluid_error_evidence(study, network, policy), falling_evidence(study, tests)]
    return Findings(
        evidence=tuple(evidence),
        controls=controls,
        figures=_figures(studies, wrong),
        data={"studies": studies, "wrong rate": wrong},
    )


def fluid_path(network: ServingNetwork, policy: Policy, step: float = STEP) -> Trajectory:
    """The fluid from the empty state, at the times of the grid."""
    points = round(HORIZON / SPACING)
    return trajectory(network, policy, horizon=HORIZON, points=points, step=step)


def with_wrong_rate(network: ServingNetwork) -> ServingNetwork:
    """The same network with solo decodes a tenth slower."""
    time = network.gpu.iteration_time
    slower = dataclasses.replace(time, gamma=WRONG_GAMMA * time.gamma)
    return dataclasses.replace(network, gpu=dataclasses.replace(network.gpu, iteration_time=slower))


def distance_study(
    label: str,
    network: ServingNetwork,
    policy: Policy,
    sizes: Sizes,
    report: Report,
    seed: int = SEED,
) -> DistanceStudy:
    """Simulate the chain at every size and measure its distance to the fluid."""
    fluid = fluid_path(network, policy)
    paths: dict[int, NDArray[np.float64]] = {}
    for gpus, replications in zip(sizes.gpus, sizes.replications, strict=True):
        report(f"{label}, {gpus:,} GPUs")
        paths[gpus] = simulate(
            network,
            policy,
            gpus=gpus,
            horizon=HORIZON,
            warmup=0,
            replications=replications,
            seed=seed * 10**9 + gpus,
            grid=fluid.times,
        ).trajectories
    return DistanceStudy(label, _curve(paths, fluid), sizes.settled_from, fluid, paths)


def against(study: DistanceStudy, fluid: Trajectory) -> DistanceStudy:
    """The same chain paths compared with another fluid path."""
    label = f"{study.label}, wrong rate"
    return dataclasses.replace(study, label=label, curve=_curve(study.paths, fluid), fluid=fluid)


def distances(paths: NDArray[np.float64], fluid: Trajectory) -> NDArray[np.float64]:
    """Distance of every replication: the maximum over times, stages and classes."""
    return np.asarray(np.abs(paths - fluid.states).max(axis=(1, 2, 3)))


def fluid_error_evidence(study: DistanceStudy, network: ServingNetwork, policy: Policy) -> Evidence:
    """Whether the fluid's own error is far below the smallest distance.

    The scheme is of first order: halving its step moves the path by the error that remains.
    """
    halved = fluid_path(network, policy, STEP / 2)
    error = 2 * float(np.abs(study.fluid.states - halved.states).max())
    allowed = FLUID_SHARE * float(study.curve.gap.min())
    return Evidence(
        name=f"the fluid's own error is negligible: {study.label}",
        grade=Grade.ESTIMATED,
        outcome=outcome_of(error <= allowed),
        claimed=f"<= {allowed:.2g} requests per GPU, a tenth of the smallest distance",
        computed=f"{error:.2g} at steps of {study.fluid.step:.3g} s",
        slack=allowed - error,
        detail="twice the change when the step is halved, for a scheme of first order",
    )


def exponent_evidence(study: DistanceStudy, tests: int) -> Evidence:
    """Whether the distance decays like n^(-1/2); inconclusive if the interval is too wide."""
    settled = study.settled
    exponent = fitted_exponent(settled)
    low, high = exponent.interval(FAMILY_LEVEL / tests)
    p_value = settling_p_value(settled)
    if not low <= -0.5 <= high:
        outcome = Outcome.REFUTED
    elif p_value < SETTLING_LEVEL / tests or low <= -1 or high >= 0:
        outcome = Outcome.INCONCLUSIVE
    else:
        outcome = Outcome.HOLDS
    return Evidence(
        name=f"exponent of the distance: {study.label}",
        grade=Grade.ESTIMATED,
        outcome=outcome,
        claimed="-1/2",
        computed=f"{exponent.value:.3f} in [{low:.3f}, {high:.3f}] over {_sizes(study.settled)}",
        slack=min(-0.5 - low, high + 0.5),
        detail=f"H0: exponent = -1/2; {level_and_power(exponent, tests, sides=2)}; "
        f"sqrt(n) distance constant: Cochran's Q p = {p_value:.2f}",
    )


def limit_evidence(study: DistanceStudy, margin: float, tests: int) -> Evidence:
    """Whether the distance that remains as n grows is within ``margin`` of zero."""
    limit = fitted_limit(study.settled)
    # Two one-sided tests at level a each: the two-sided interval of error probability 2 a.
    low, high = limit.interval(2 * FAMILY_LEVEL / tests)
    if low > margin or high < -margin:
        outcome = Outcome.REFUTED
    else:
        inside = -margin < low and high < margin
        outcome = Outcome.HOLDS if inside else Outcome.INCONCLUSIVE
    return Evidence(
        name=f"limit of the distance: {study.label}",
        grade=Grade.ESTIMATED,
        outcome=outcome,
        claimed=f"within {margin:g} requests per GPU of zero",
        computed=f"{limit.value:+.3f} in [{low:+.3f}, {high:+.3f}]",
        slack=margin - max(abs(low), abs(high)),
        detail=f"H0: limit at least the margin, two one-sided tests; "
        f"{level_and_power(limit, tests, sides=1)}; intercept over {_sizes(study.settled)}",
    )


def falling_evidence(study: DistanceStudy, tests: int) -> Evidence:
    """Whether the distance at the largest size is below half of that at the smallest."""
    curve = study.curve
    first, last = curve.gap[0], curve.gap[-1]
    variances = np.array([curve.standard_error[0] / 2, curve.standard_error[-1]]) ** 2
    # Welch's degrees of freedom, rounded down.
    counts = curve.replications[[0, -1]] - 1
    degrees = int(variances.sum() ** 2 / (variances**2 / counts).sum())
    difference = Fitted(float(last - first / 2), float(np.sqrt(variances.sum())), degrees)
    low, high = difference.interval(2 * FAMILY_LEVEL / tests)
    outcome = outcome_of(high < 0) if high < 0 or low > 0 else Outcome.INCONCLUSIVE
    return Evidence(
        name=f"the distance falls: {study.label}",
        grade=Grade.ESTIMATED,
        outcome=outcome,
        claimed=f"at n = {curve.gpus[-1]:,} below half of that at n = {curve.gpus[0]:,}",
        computed=f"{last:.3f} against {first:.3f} requests per GPU",
        slack=-high,
        detail=f"H0: at least half, one-sided; {level_and_power(difference, tests, sides=1)}",
    )


def _curve(paths: Mapping[int, NDArray[np.float64]], fluid: Trajectory) -> GapCurve:
    samples: Sequence[NDArray[np.float64]] = [distances(each, fluid) for each in paths.values()]
    counts = np.array([len(each) for each in samples])
    return GapCurve(
        np.array(list(paths)),
        np.array([each.mean() for each in samples]),
        np.array([each.std(ddof=1) for each in samples]) / np.sqrt(counts),
        counts,
    )


def _sizes(curve: GapCurve) -> str:
    return f"n = {curve.gpus[0]:,} ... {curve.gpus[-1]:,}"


def _figures(
    studies: Mapping[str, DistanceStudy], wrong: Mapping[str, DistanceStudy]
) -> dict[str, Callable[[], Figure]]:
    network = instance("two-class")
    policy = policy_named("gate-and-route", plan(network))
    return {
        "Distance of the chain to the fluid": partial(distance_figure, studies, wrong),
        "Chain paths around the fluid path, two-class": partial(paths_figure, network, policy),
    }
