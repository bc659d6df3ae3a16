r"""Prioritize-and-route on small systems: exact gaps to the separate value.

The stationary law of a few GPUs gives the gap without simulation. How it depends on n is a matter
of two things. More GPUs in the same layout lose less. But the layout changes, since
M = ceil(n sum_i x_i*) has to be whole: at n = 1 the one GPU is mixed, whatever the plan, and a
share M/n far above the plan's may lose less than the plan's own. So the gap need not fall from n
to n + 1, and it is compared between sizes with the same M/n only; where n sum_i x_i* is whole,
M/n is the plan's.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from fractions import Fraction
from itertools import pairwise

from ...fluid import Plan, plan
from ...stochastic import StationaryLaw, stationary_law
from ...stochastic.chain import Runner
from ...theory import PrioritizeAndRoute, exact_rates, instance
from ...theory.claims import Grade
from ...theory.steady_state import decode_buffer_condition
from ..verdict import Evidence, Level, outcome_of
from .instrument import means_evidence

SIZES: Mapping[Level, Mapping[str, tuple[int, ...]]] = {
    "quick": {
        "small-one-class": (1, 2, 3, 4, 5, 10),
        "small-two-class": (1,),
        "small-underloaded": (1, 2, 8),
    },
    "full": {
        "small-one-class": (1, 2, 3, 4, 5, 10, 15),
        "small-two-class": (1, 2),
        "small-underloaded": (1, 2, 8),
    },
}
"""Numbers of GPUs; on small-one-class 5, 10 and 15 have the share of mixed GPUs of the plan."""

SIMULATED = (("small-one-class", 3), ("small-two-class", 1), ("small-underloaded", 2))
"""Systems whose exact means are compared with simulated ones."""

Laws = Mapping[tuple[str, int], StationaryLaw]
"""By name of the instance and number of GPUs."""


def separate_plans() -> dict[str, Plan]:
    """Separate plans of the small instances."""
    plans = {name: plan(instance(name), "separate") for name in SIZES["full"]}
    for name, p in plans.items():
        if not decode_buffer_condition(exact_rates(p.network)):
            raise ArithmeticError(
                f"{name}: kappa < (B-1)/B, the value is no bound for more mixed GPUs"
            )
    return plans


def exact_laws(level: Level, plans: Mapping[str, Plan]) -> dict[tuple[str, int], StationaryLaw]:
    """Stationary laws of prioritize-and-route."""
    return {
        (name, gpus): stationary_law(plans[name].network, PrioritizeAndRoute(plans[name]), gpus)
        for name, sizes in SIZES[level].items()
        for gpus in sizes
    }


def exact_gaps_evidence(
    laws: Laws, plans: Mapping[str, Plan], values: Mapping[str, Fraction]
) -> Evidence:
    """Whether no exact revenue exceeds ``values``, and more GPUs with the same M/n lose less."""
    gaps = {key: 1 - law.separate_revenue_rate / float(values[key[0]]) for key, law in laws.items()}
    alike: defaultdict[tuple[str, Fraction], list[int]] = defaultdict(list)
    for name, gpus in sorted(laws):
        mixed = PrioritizeAndRoute(plans[name]).mixed_gpus(gpus)
        alike[name, Fraction(mixed, gpus)].append(gpus)
    series = [
        (sizes, [gaps[name, n] for n in sizes])
        for (name, _), sizes in alike.items()
        if len(sizes) > 1
    ]
    falls = [before - after for _, row in series for before, after in pairwise(row)]
    within = ", ".join(
        " > ".join(f"{gap:.1%}" for gap in row) + f" (n = {', '.join(map(str, sizes))})"
        for sizes, row in series
    )
    (name, gpus), least = min(gaps.items(), key=lambda item: item[1])
    return Evidence(
        name=f"exact gaps to the value, {len(laws)} small systems",
        grade=Grade.ESTIMATED,
        outcome=outcome_of(least >= 0 and min(falls) > 0),
        claimed="none is negative, and with the same M/n more GPUs lose less",
        computed=f"least gap {least:.1%} ({name}, n = {gpus}); {within}",
        slack=min(least, *falls),
        detail="stationary laws of prioritize-and-route, "
        f"{sum(law.states for law in laws.values()):,} states in all; floating point, balance "
        f"equations to {max(law.residual for law in laws.values()):.0e}, at most "
        f"{max(law.truncation_loss for law in laws.values()):.0e} of the requests lost to "
        "truncation",
    )


def simulated_means_evidence(
    laws: Laws, plans: Mapping[str, Plan], kernel: Runner | None = None
) -> Evidence:
    """Whether simulated means agree with the exact laws."""
    systems = [
        (plans[name].network, PrioritizeAndRoute(plans[name]), laws[name, n])
        for name, n in SIMULATED
    ]
    return means_evidence(systems, "prioritize-and-route on the small instances", kernel)
