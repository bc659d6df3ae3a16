"""The separate program equals a one-dimensional concave maximisation, greedy by D/P.

Evidence: the algebra of both directions; on random instances, half of which violate
kappa >= (B-1)/B, and on the named ones, the certified optimum of program (42) equals the maximum
over the explicit breakpoints, in fractions; and a minimal network on which separate and bundled
pricing rank two classes in opposite orders. Control: greedy by P/D.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from fractions import Fraction

from ...fluid import Plan, plan
from ...fluid.separate import ConcaveForm, concave_form, decode_work_order
from ...theory import Gpu, IterationTime, Prices, RequestClass, ServingNetwork, instance
from ...theory.claims import Grade
from ...theory.derivations import separate_concave
from ...theory.steady_state import PROGRAMS
from ..derived import derivation_evidence
from ..verdict import Evidence, Findings, Level, Report, outcome_of
from .decode_buffer_elimination import random_instances
from .instances import NAMED_INSTANCES
from .pricing_figures import concave_figure

RANDOM_INSTANCES = {"quick": 60, "full": 500}


def check(level: Level, report: Report) -> Findings:
    """Decide the claim at ``level``."""
    report("algebra of the equivalence")
    proved = derivation_evidence(separate_concave.derivation())
    report("certified optima against breakpoints")
    count = RANDOM_INSTANCES[level]
    kinds = {
        f"{count} random instances with kappa >= (B-1)/B": random_instances(count, satisfying=True),
        f"{count} random instances with kappa < (B-1)/B": random_instances(count, satisfying=False),
    }
    plans = {name: [plan(n, "separate") for n in networks] for name, networks in kinds.items()}
    named = {name: [plan(instance(name), "separate")] for name in NAMED_INSTANCES}
    return Findings(
        evidence=(
            proved,
            *(_same_value(name, p, concave_form) for name, p in (plans | named).items()),
            opposite_rankings(),
        ),
        controls={
            "greedy by P/D": tuple(
                _same_value(f"{name}, greedy by P/D", p, concave_form_by_prompts)
                for name, p in plans.items()
            )
        },
        figures={
            name: lambda name=name: concave_figure(  # type: ignore[misc]
                concave_form(instance(name)), concave_form_by_prompts(instance(name))
            )
            for name in NAMED_INSTANCES
        },
    )


def concave_form_by_prompts(network: ServingNetwork) -> ConcaveForm:
    """The concave form with classes in ascending order of D/P: wrong."""
    return concave_form(network, decode_work_order(network)[::-1])


def disagreeing_network() -> ServingNetwork:
    """Two classes of one prompt token, B = 2, kappa = tau = 1, each enough to fill all slots.

    A prefill slot completes one prompt per second, and a decode slot one token. Class "long" has 4
    output tokens, class "short" half a token on average; prices are 2 and 1. Served alone under
    separate pricing, "long" fills all prefill slots and the one decode slot beside each: 2 + 1 = 3;
    "short" creates half a token of work per second: 2 + 1/2. Under bundled pricing, "long" is
    limited by decode, 4 x <= 2 - x: x = 2/5 completions at 2 + 4; "short" completes 1 at 2 + 1/2.
    """
    return ServingNetwork(
        gpu=Gpu("unit times", IterationTime(alpha=0, beta=1, gamma=1), batch=2, chunk=1),
        prices=Prices(prefill=2, decode=1),
        classes=(
            RequestClass("long", 1, 4, 1, 1),
            RequestClass("short", 1, 0.5, 1, 1),
        ),
    )


def value_alone(network: ServingNetwork, class_index: int, pricing: str) -> Fraction:
    """Certified optimum of the network with only one of its classes."""
    only = replace(network, classes=(network.classes[class_index],))
    return plan(only, pricing).value


def opposite_rankings() -> Evidence:
    """Whether the two pricings rank the classes of `disagreeing_network` in opposite orders."""
    network = disagreeing_network()
    long, short = (
        {pricing: value_alone(network, i, pricing) for pricing in PROGRAMS} for i in range(2)
    )
    gains = long["separate"] - short["separate"], short["bundled"] - long["bundled"]
    return Evidence(
        name="separate and bundled pricing can rank two classes in opposite orders",
        grade=Grade.CERTIFIED,
        outcome=outcome_of(min(gains) > 0),
        claimed="long outputs earn more under separate, short ones under bundled pricing",
        computed=f"separate: {long['separate']} > {short['separate']}; bundled: "
        f"{long['bundled']} < {short['bundled']}",
        slack=float(min(gains)),
        detail="two classes with P = 1, D = 4 and D = 1/2, each served alone; B = 2, kappa = 1, "
        "c_p = 2, c_d = 1; certified rational optima",
    )


def _same_value(
    name: str, plans: Sequence[Plan], form: Callable[[ServingNetwork], ConcaveForm]
) -> Evidence:
    maxima = [form(p.network).maximum()[1] for p in plans]
    differences = [abs(p.value - value) for p, value in zip(plans, maxima, strict=True)]
    equal = sum(difference == 0 for difference in differences)
    single = len(plans) == 1
    return Evidence(
        name=f"maximum over breakpoints equals the certified optimum: {name}",
        grade=Grade.CERTIFIED,
        outcome=outcome_of(equal == len(plans)),
        claimed=f"{float(maxima[0]):.6f}" if single else "equal fractions",
        computed=f"{float(plans[0].value):.6f}" if single else f"{equal} of {len(plans)} equal",
        slack=0.0 - float(max(differences)),
        detail="simplex vertex of program (42) with certificate against the concave form, both "
        "in fractions; patience rates positive",
    )
