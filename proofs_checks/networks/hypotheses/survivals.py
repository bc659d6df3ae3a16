"""Conclusions that survive without a hypothesis: short proofs, and exact equality on instances."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction

from ....fluid import plan
from ....fluid.planning import planning_form
from ....theory import ServingNetwork, exact_rates
from ....theory.claims import Grade
from ....theory.derivations import Derivation
from ....theory.sli import PrefillFairness
from ..decode_buffer_elimination import value_lost_without_queue
from ..sli_hypotheses import slater_slack
from .decision import Decision, certified, listed, short
from .equilibria import (
    FluidPoint,
    bundled_revenue,
    decode_capacity,
    decode_work,
    equilibrium,
    gated_prefill,
    is_steady,
    optimum_with_most,
    plan_of,
    point_of,
    pooled_decode,
    prioritized_prefill,
    separate_revenue,
)
from .symbols import symbols_of

NONE = Fraction(0)


def proved(
    derivation: Derivation, *, absent: Sequence[str] = (), without: str | None = None
) -> Decision:
    """Whether every step holds, and none contains the symbols that must not matter."""
    failing = derivation.failing_steps(without)
    present = sorted(symbols_of(derivation) & set(absent))
    count = len(derivation.steps)
    return Decision(
        holds=not failing and not present,
        grade=Grade.PROVED,
        claimed=f"{count} steps" + (f" without {', '.join(absent)}" if absent else ""),
        computed=f"{count - len(failing)} steps hold"
        + (f"; not: {'; '.join(failing)}" if failing else "")
        + (f"; in them: {', '.join(present)}" if present else ""),
        detail=f"{derivation.title}: algebra by SymPy for all parameters",
    )


def optimum_has_no_decode_queue(networks: Sequence[ServingNetwork]) -> Decision:
    """Proposition 3.2 on each network: two certified optima agree."""
    lost = [value_lost_without_queue(network) for network in networks]
    equal = sum(difference == 0 for difference in lost)
    return certified(
        equal == len(lost),
        "R* = R* with q_d = 0",
        f"equal on {equal} of {len(lost)}",
        "two certified rational optima per network",
    )


def gate_stands_at_plan(
    network: ServingNetwork, *, extra_share: Fraction = NONE, first_class: int | None = None
) -> Decision:
    """The equilibrium of gate-and-route is the plan, and earns R*.

    Two faults can be built in: an ``extra_share`` of mixed GPUs, and a ``first_class`` that is
    prefilled before all others.
    """
    p, rate = plan_of(network), exact_rates(network)
    share = p.mixed_share + extra_share
    if first_class is None:
        prefill = gated_prefill(p, share)
    else:
        wanted = min(share, rate.arrival[first_class] / rate.prefill[first_class])
        prefill = tuple(wanted if i == first_class else NONE for i in range(len(p.prefill)))
    point = equilibrium(network, prefill, share)
    earned = bundled_revenue(network, prefill, share)
    return certified(
        prefill == p.prefill
        and point.prefill_queue == p.prefill_queue
        and sum(point.decode_queue) == 0
        and earned == p.value
        and is_steady(network, point, share),
        f"x*, q_p*, no decode queue, R* = {short(p.value)}",
        f"{'x*' if prefill == p.prefill else 'another x'}, "
        f"{'no' if sum(point.decode_queue) == 0 else 'a'} decode queue, {short(earned)}",
        f"fluid equilibrium in fractions; x* = {listed(p.prefill)}, "
        f"q_p* = {listed(p.prefill_queue)}",
    )


def every_optimum_earns_it(network: ServingNetwork) -> Decision:
    """Both ends of the set of optima differ, and the gate tracks either to R*."""
    value = plan_of(network).value
    ends = [optimum_with_most(network, "prefill", sign) for sign in (1, -1)]
    earned = [bundled_revenue(network, end.prefill, sum(end.prefill, Fraction(0))) for end in ends]
    return certified(
        ends[0].prefill != ends[1].prefill and earned == [value, value],
        f"{value} from either optimum",
        f"{' and '.join(map(str, earned))} from x* = "
        f"{' and '.join(listed(end.prefill) for end in ends)}",
        "two optimal vertices of program (40), each tracked",
    )


def pools_hold_every_optimum(network: ServingNetwork) -> Decision:
    """Pools that split by the tracked optimum hold its occupancies per class."""
    ends = [optimum_with_most(network, "prefill", sign) for sign in (1, -1)]
    held = all(_pools_hold(network, end) for end in ends)
    return certified(
        held and ends[0] != ends[1],
        "y = y* of the optimum that is tracked",
        f"{'equal' if held else 'not equal'} for {len(ends)} different optima",
        "inflow of every pool within its slots, in fractions",
    )


def pools_hold_plan(network: ServingNetwork) -> Decision:
    """Pools that split by the plan with q_d = 0 hold its occupancies per class."""
    target = optimum_with_most(network, "prefill")
    held = sum(target.decode_queue) == 0 and _pools_hold(network, target)
    return certified(
        held,
        "y = y*",
        "equal" if held else "not equal",
        f"inflow of every pool within its slots, in fractions; x* = {listed(target.prefill)}",
    )


def pools_hold_without_room(network: ServingNetwork) -> Decision:
    """Theorem 5.1 without Slater's condition: equal prefill occupancies leave no room inside."""
    slis = (PrefillFairness(0),)
    p = plan(network, slis=slis)
    slack = slater_slack(planning_form(network, p.pricing, slis, decode_queue_allowed=True))
    held = _pools_hold(network, point_of(p))
    return certified(
        slack == 0 and held and sum(p.decode_queue) == 0,
        "y = y* of the plan with x_i* = x_j*, where no point is strictly feasible",
        f"{'equal' if held else 'not equal'}, largest common slack {slack}",
        f"inflow of every pool within its slots, in fractions; x* = {listed(p.prefill)}",
    )


def pools_hold_restricted_plan(network: ServingNetwork) -> Decision:
    """With q_d = 0 imposed on the program, as in (43), the pools hold its optimum for any kappa."""
    p = plan_of(network)
    rate = exact_rates(network)
    restricted = optimum_with_most(network, "prefill", decode_queue=False)
    share = sum(restricted.prefill, Fraction(0))
    held = _pools_hold(network, restricted)
    return certified(
        held and sum(p.decode_queue) > 0,
        "y = y* of the program with q_d = 0",
        f"{'equal' if held else 'not equal'}; work {decode_work(rate, restricted.prefill)}, "
        f"capacity {decode_capacity(rate, share)}",
        f"kappa = {rate.kappa}: the optimum without that constraint has q_d* = "
        f"{listed(p.decode_queue)}",
    )


def one_buffer_rests_at_plan(network: ServingNetwork) -> Decision:
    """The plan, with its decode queue, is an equilibrium of one buffer in order of arrival."""
    p = plan_of(network)
    steady = is_steady(network, point_of(p), p.mixed_share)
    return certified(
        steady,
        "the plan stands still under one buffer",
        "stands still" if steady else "moves",
        f"fluid equations and order of arrival, in fractions; q_d* = {listed(p.decode_queue)}",
    )


def priority_earns_optimum(networks: Sequence[ServingNetwork], label: str) -> Decision:
    """Theorem 4.2 on each network: the priority order earns the value of program (42)."""
    equal = 0
    for network in networks:
        p = plan_of(network, "separate")
        prefill = prioritized_prefill(p, p.mixed_share)
        equal += separate_revenue(network, prefill, p.mixed_share) == p.value
    return certified(
        equal == len(networks),
        "the value of (42)",
        f"equal on {equal} of {len(networks)}",
        f"fluid equilibrium of the priority order against the certified optimum; {label}",
    )


def _pools_hold(network: ServingNetwork, target: FluidPoint) -> bool:
    share = sum(target.prefill, Fraction(0))
    mixed, solo = pooled_decode(network, target, target.prefill, share)
    return (mixed, solo) == (target.mixed_decode, target.solo_decode)
