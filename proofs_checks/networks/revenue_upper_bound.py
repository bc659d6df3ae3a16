"""No admissible policy earns more than R* per GPU-second, at any number of GPUs.

Evidence: conservation of rates with weak duality; the stationary revenue of small chains, from
their balance equations in floating point, under two policies; the best admissible policies of
small systems (`small_systems`); and simulated revenue of the named instances, where the test is
whether it exceeds R*. Control: R* recomputed with solo decode capacity cut, which the same
revenues must exceed.
"""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction
from functools import partial

from scipy import stats

from ...fluid import Plan, bundled_value_with_solo_capacity, plan
from ...stochastic import Estimate, StationaryLaw, simulate, stationary_law
from ...theory import FirstComeFirstServed, GateAndRoute, exact_rates, instance
from ...theory.claims import Grade
from ...theory.derivations import rate_conservation
from ...theory.steady_state import decode_buffer_condition
from ..derived import derivation_evidence
from ..statistics import FAMILY_LEVEL, Fitted
from ..verdict import Evidence, Findings, Level, Report, outcome_of
from .instances import NAMED_INSTANCES
from .small_systems import (
    optimal_control_controls,
    optimal_control_evidence,
    small_systems_study,
)
from .small_systems_figures import gate_figure, sandwich_figure

SMALL_INSTANCES = ("small-one-class", "small-two-class", "small-underloaded")
SMALL_GPUS = (1, 2)
GPUS = {"quick": (10, 100, 2_000), "full": (10, 100, 2_000, 20_000)}
HORIZON, WARMUP, REPLICATIONS, SEED = 500.0, 150.0, 8, 3
LEFT, LEFT_OF_SMALL = Fraction(9, 10), Fraction(1, 4)
"""Shares of the solo decode capacity that the control leaves: on the named instances, and on the
small ones, where little of it is needed."""


def check(level: Level, report: Report) -> Findings:
    """Decide the claim at ``level``."""
    report("conservation of rates")
    derivation = rate_conservation.derivation()
    named = {name: plan(instance(name)) for name in NAMED_INSTANCES}
    small = {name: plan(instance(name)) for name in SMALL_INSTANCES}
    for name, p in (named | small).items():
        if not decode_buffer_condition(exact_rates(p.network)):
            raise ArithmeticError(f"{name}: kappa < (B-1)/B, the bound needs it")
        if min(p.network.per_class("patience_rate")) <= 0:
            raise ArithmeticError(f"{name}: a stationary regime is only sure with patience > 0")
    laws = {}
    for name, p in small.items():
        for gpus in SMALL_GPUS:
            report(f"exact stationary law of {name}, n = {gpus}")
            # Without a gate the order of all waiting requests is part of the state: many more.
            policies = (GateAndRoute(p), FirstComeFirstServed(p))
            for policy in policies if level == "full" or gpus == 1 else policies[:1]:
                laws[name, gpus, policy.name] = stationary_law(p.network, policy, gpus)
    optima = small_systems_study(level, report)
    estimates = {}
    for name, p in named.items():
        for gpus in GPUS[level]:
            report(f"{name}, {gpus:,} GPUs")
            estimates[name, gpus] = simulate(
                p.network,
                GateAndRoute(p),
                gpus=gpus,
                horizon=HORIZON,
                warmup=WARMUP,
                replications=REPLICATIONS,
                seed=SEED,
            )
    bounds = {name: p.value for name, p in (named | small).items()}
    cut_bounds = {
        name: bundled_value_with_solo_capacity(p.network, LEFT if name in named else LEFT_OF_SMALL)
        for name, p in (named | small).items()
    }
    return Findings(
        evidence=(
            derivation_evidence(derivation),
            _exact_below(laws, bounds),
            *optimal_control_evidence(optima),
            *(_simulated_below(name, estimates, named[name], bounds) for name in named),
        ),
        controls={
            "a quarter of the solo decode capacity, small chains": (
                _exact_below(laws, cut_bounds),
            ),
            **{
                f"a tenth of the solo decode capacity cut, {name}": (
                    _simulated_below(name, estimates, named[name], cut_bounds),
                )
                for name in named
            },
            **optimal_control_controls(optima),
        },
        figures={
            "Gate-and-route, the best policy and the bound, small systems": partial(
                sandwich_figure, optima
            ),
            "What the best gate admits, small-two-class, 2 GPUs": partial(
                gate_figure, optima["small-two-class", 2]
            ),
        },
        data={"laws": laws, "estimates": estimates, "bounds": bounds, "optima": optima},
    )


def _exact_below(
    laws: Mapping[tuple[str, int, str], StationaryLaw], bounds: Mapping[str, Fraction]
) -> Evidence:
    ratios = {key: law.revenue_rate / float(bounds[key[0]]) for key, law in laws.items()}
    name, gpus, policy = max(ratios, key=lambda key: ratios[key])
    highest = ratios[name, gpus, policy]
    states = sum(law.states for law in laws.values())
    residual = max(law.residual for law in laws.values())
    return Evidence(
        name=f"computed stationary revenue of {len(laws)} small chains is at most R*",
        grade=Grade.ESTIMATED,
        outcome=outcome_of(highest <= 1),
        claimed="every revenue <= R*",
        computed=f"largest is {highest:.4f} R* ({policy} on {name}, n = {gpus})",
        slack=1 - highest,
        detail=f"{states:,} states in all; largest residual of the balance equations "
        f"{residual:.1e}; lost to truncation at most "
        f"{max(law.truncation_loss for law in laws.values()):.1e} of the requests; floating point; "
        "half the solo decode capacity would not be noticed, a quarter is",
    )


def _simulated_below(
    name: str,
    estimates: Mapping[tuple[str, int], Estimate],
    p: Plan,
    bounds: Mapping[str, Fraction],
) -> Evidence:
    bound = float(bounds[name])
    tests = len(estimates)
    excess, detectable = {}, 0.0
    for (instance_name, gpus), estimate in estimates.items():
        if instance_name == name:
            revenue = estimate.revenue_rate
            degrees = estimate.replications - 1
            excess[gpus] = (revenue.mean - bound) / revenue.standard_error
            fitted = Fitted(revenue.mean, revenue.standard_error, degrees)
            detectable = max(detectable, fitted.detectable(FAMILY_LEVEL / tests, sides=1))
    critical = float(stats.t.ppf(1 - FAMILY_LEVEL / tests, degrees))
    gpus = max(excess, key=lambda n: excess[n])
    best = estimates[name, gpus].revenue_rate
    return Evidence(
        name=f"simulated revenue does not exceed the bound: {name}",
        grade=Grade.ESTIMATED,
        outcome=outcome_of(max(excess.values()) <= critical),
        claimed=f"<= {bound:.3f} (R* = {float(p.value):.3f})",
        computed=f"{best.mean:.3f} ± {best.standard_error:.3f} at n = {gpus:,}",
        slack=bound - best.mean,
        detail=f"H0: revenue <= bound at n = {', '.join(f'{n:,}' for n in excess)}; one-sided, "
        f"level {FAMILY_LEVEL / tests:.2g} each; power 0.9 at an excess of {detectable:.2g} "
        "revenue per GPU-second or less",
    )
