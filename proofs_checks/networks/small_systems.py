"""Small systems solved exactly: gate-and-route <= the optimal policy <= R*.

No simulation and no limit: for a few GPUs the best admissible policy can be computed
(`kurtz.stochastic.optimal_control.control`), with exact bounds on both sides, and put between what
gate-and-route earns (`kurtz.stochastic.stationary_law`) and the plan. The optimum is computed for
the layout of the static planning and without dedicated GPUs. Controls: R* with solo decode
capacity cut, which optimal policies must exceed; the optimum of a system whose waiting rooms are
cut, taken for that of the system without a cut; gate-and-route paid twice for prompts.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, replace
from fractions import Fraction

import numpy as np

from ...fluid import Plan, bundled_value_with_solo_capacity, plan
from ...stochastic import StationaryLaw, stationary_law
from ...stochastic.optimal_control.control import OptimalControl, optimal_control
from ...stochastic.optimal_control.linear_program import gain_by_linear_program
from ...stochastic.optimal_control.process import DecisionProcess
from ...theory import GateAndRoute, exact_rates, instance
from ...theory.claims import Grade
from ...theory.policies import Policy
from ...theory.steady_state import decode_buffer_condition
from ..verdict import Evidence, Level, Report, outcome_of

SYSTEMS: Mapping[Level, tuple[tuple[str, int], ...]] = {
    "quick": (
        ("small-one-class", 1),
        ("small-one-class", 2),
        ("small-one-class", 3),
        ("small-two-class", 1),
        ("small-two-class", 2),
        ("small-underloaded", 1),
        ("small-underloaded", 2),
        ("small-underloaded", 3),
    ),
    "full": (
        ("small-one-class", 1),
        ("small-one-class", 2),
        ("small-one-class", 3),
        ("small-two-class", 1),
        ("small-two-class", 2),
        ("small-two-class", 3),
        ("small-underloaded", 1),
        ("small-underloaded", 2),
        ("small-underloaded", 3),
    ),
}
"""Instances and numbers of GPUs."""

BRACKET = 2e-3
"""Largest relative distance of the exact bounds of an optimum."""

LINEAR_PROGRAM_STATES = 800
"""Systems with at most this many states are solved by linear programming too."""

AGREEMENT = 1e-6
"""Largest accepted relative difference between the two routes to the optimum; HiGHS's own
tolerance is 1e-7."""

LEFT = Fraction(1, 2)
"""Share of the solo decode capacity that the first control leaves; four fifths go unnoticed."""

NARROW_ROOM = 1
"""Waiting requests per class and queue that the second control has room for."""


@dataclass(frozen=True)
class SmallSystem:
    """One instance at one size: gate-and-route, the optimum of its layout and without one."""

    plan: Plan
    gate_and_route: StationaryLaw
    planned: OptimalControl
    undedicated: OptimalControl

    @property
    def decode_slots(self) -> int:
        """Decode slots, mixed and solo, of the layout of the plan."""
        gpus, batch = self.planned.gpus, self.plan.network.gpu.batch
        return gpus * batch - GateAndRoute(self.plan).mixed_gpus(gpus)

    @property
    def optima(self) -> tuple[OptimalControl, OptimalControl]:
        """Both optimal policies."""
        return self.planned, self.undedicated


Study = Mapping[tuple[str, int], SmallSystem]
"""Systems by instance and number of GPUs."""


def small_systems_study(level: Level, report: Report) -> Study:
    """Solve the systems of ``level``, after a look at the hypotheses of the bound."""
    study = {}
    for name, gpus in SYSTEMS[level]:
        report(f"optimal control of {name}, n = {gpus}")
        best = plan(instance(name))
        if not decode_buffer_condition(exact_rates(best.network)):
            raise ArithmeticError(f"{name}: kappa < (B-1)/B, the bound needs it")
        policy = GateAndRoute(best)
        mixed = policy.mixed_gpus(gpus)
        study[name, gpus] = SmallSystem(
            plan=best,
            gate_and_route=stationary_law(best.network, policy, gpus, tolerance=1e-6),
            planned=optimal_control(best.network, gpus, mixed, tolerance=BRACKET),
            undedicated=optimal_control(best.network, gpus, tolerance=BRACKET),
        )
    return study


def optimal_control_evidence(study: Study) -> tuple[Evidence, ...]:
    """The sandwich, and the optimum by a second route."""
    values = {key: system.plan.value for key, system in study.items()}
    return (
        _optimum_below(study, values),
        _gate_and_route_below(study, {key: s.gate_and_route for key, s in study.items()}),
        _routes_agree(study),
    )


def optimal_control_controls(study: Study) -> dict[str, tuple[Evidence, ...]]:
    """The same comparisons with a fault built in, by name of the fault."""
    cut = {
        key: bundled_value_with_solo_capacity(system.plan.network, LEFT)
        for key, system in study.items()
    }
    return {
        "optimal policies against R* with half the solo decode capacity": (
            _optimum_below(study, cut),
        ),
        "waiting rooms cut, what overflows left out": (_cut_bounds_uncut(study),),
        "gate-and-route paid twice for prompts": (
            _gate_and_route_below(
                study, {key: _paid_twice_for_prompts(s) for key, s in study.items()}
            ),
        ),
    }


def gate_decisions(
    system: SmallSystem, policy: Policy | None = None
) -> dict[tuple[tuple[int, ...], int], dict[int | None, float]]:
    """Which class an idle prefill slot admits, by who waits and by decodes in the system.

    Moments are those at which the optimal controller of the planned layout decides about an idle
    slot; keys are the classes that wait, and the requests that decode or wait for it. Values are
    the rates (1/s) at which each class is admitted, None for nobody. With ``policy`` the same
    moments, but what that policy would do in them.
    """
    control = system.planned
    process, gpus, mixed = control.process, control.gpus, control.mixed_gpus
    classes = range(process.classes)
    found: defaultdict[tuple[tuple[int, ...], int], defaultdict[int | None, float]]
    found = defaultdict(lambda: defaultdict(float))
    flow = process.events.T @ control.probabilities
    for state in np.flatnonzero(flow > 0).tolist():
        (prefill, *decoding), waiting = process.described(state)
        queue = waiting[: process.classes]
        here = tuple(i for i in classes if queue[i] > 0)
        if not here or sum(prefill) == mixed:
            continue
        if policy is None:
            after = process.described(control.decision[state])[1]
            admitted = next((i for i in classes if after[i] < queue[i]), None)
        else:
            admitted = policy.next_class(prefill, queue, [0.0] * len(queue), gpus)
        decodes = sum(map(sum, decoding)) + sum(waiting[process.classes :])
        found[here, decodes][admitted] += float(flow[state])
    return {key: dict(rates) for key, rates in found.items()}


def _optimum_below(study: Study, bounds: Mapping[tuple[str, int], Fraction]) -> Evidence:
    optima = {(key, o.mixed_gpus): o for key, s in study.items() for o in s.optima}
    ratios = {where: o.upper / bounds[where[0]] for where, o in optima.items()}
    (name, gpus), mixed = max(ratios, key=lambda where: ratios[where])
    highest = ratios[(name, gpus), mixed]
    layout = "no GPU dedicated" if mixed is None else f"{mixed} mixed"
    return Evidence(
        name=f"the optimal policy of {len(optima)} small systems earns at most R*",
        grade=Grade.CERTIFIED,
        outcome=outcome_of(highest <= 1),
        claimed="upper bound of every optimum <= R*",
        computed=f"largest is {float(highest):.4f} R* ({name}, n = {gpus}, {layout})",
        slack=float(1 - highest),
        detail=f"average-reward Markov decision problems by policy iteration, "
        f"{sum(o.process.states for o in optima.values()):,} states in all; waiting rooms "
        f"unlimited; exact bounds of every optimum, at most {BRACKET:g} apart, in integers; "
        "a solo decode capacity a fifth too small would not be noticed, half of it is",
    )


def _gate_and_route_below(study: Study, laws: Mapping[tuple[str, int], StationaryLaw]) -> Evidence:
    shares = {key: laws[key].revenue_rate / float(s.planned.upper) for key, s in study.items()}
    least, most = (choose(shares, key=lambda key: shares[key]) for choose in (min, max))
    return Evidence(
        name=f"gate-and-route earns at most the optimum of its layout in {len(study)} systems",
        grade=Grade.ESTIMATED,
        outcome=outcome_of(shares[most] <= 1),
        claimed="exact revenue <= upper bound of the optimum",
        computed=f"{shares[least]:.4f} of it ({least[0]}, n = {least[1]}) to "
        f"{shares[most]:.4f} ({most[0]}, n = {most[1]})",
        slack=1 - shares[most],
        detail="floating point: truncated chains, balance equations to 1e-12, at most 1e-6 of the "
        "requests lost; the bound is exact",
    )


def _routes_agree(study: Study) -> Evidence:
    differences = {}
    for (name, gpus), system in study.items():
        for optimum in system.optima:
            if optimum.process.states > LINEAR_PROGRAM_STATES:
                continue
            nothing = (Fraction(0),) * len(optimum.overflow_pay)
            gain = gain_by_linear_program(optimum.process, nothing) / gpus
            lower = float(optimum.lower)
            differences[name, gpus, optimum.mixed_gpus] = abs(gain - lower) / lower
    largest = max(differences.values())
    return Evidence(
        name=f"linear programming and policy iteration agree on {len(differences)} systems",
        grade=Grade.ESTIMATED,
        outcome=outcome_of(largest <= BRACKET / 100 + AGREEMENT),
        claimed=f"relative difference <= {BRACKET / 100 + AGREEMENT:g}",
        computed=f"at most {largest:.1e}",
        slack=BRACKET / 100 + AGREEMENT - largest,
        detail="HiGHS (simplex) in floating point; cut systems, overflows lost",
    )


def _cut_bounds_uncut(study: Study) -> Evidence:
    """The optimum of the system with narrow rooms as an upper bound of the one without a cut."""
    excesses = {}
    for key, system in study.items():
        wide = system.planned.process
        rooms = (NARROW_ROOM,) * len(wide.rooms)
        narrow = DecisionProcess(wide.servers, wide.rates, key[1], rooms)
        if narrow.states <= LINEAR_PROGRAM_STATES:
            gain = gain_by_linear_program(narrow, (Fraction(0),) * len(rooms)) / key[1]
            excesses[key] = float(system.planned.lower) / gain - 1
    most = max(excesses, key=lambda key: excesses[key])
    return Evidence(
        name="the optimum with one place to wait bounds the optimum without a cut",
        grade=Grade.ESTIMATED,
        outcome=outcome_of(excesses[most] <= AGREEMENT),
        claimed="lower bound of every optimum <= optimum of the cut system",
        computed=f"exceeded by {excesses[most]:.2%} ({most[0]}, n = {most[1]})",
        slack=AGREEMENT - excesses[most],
    )


def _paid_twice_for_prompts(system: SmallSystem) -> StationaryLaw:
    """What gate-and-route earns when prompt tokens pay double, under the same plan."""
    law, network = system.gate_and_route, system.plan.network
    completed = np.add(law.event_rates["solo_completion"], law.event_rates["mixed_completion"])
    prompts = np.array(network.per_class("prompt_tokens"))
    extra = float(network.prices.prefill * (completed @ prompts))
    return replace(law, revenue_rate=law.revenue_rate + extra)
