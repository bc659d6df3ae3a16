"""Proposition 3.2: with kappa >= (B-1)/B some optimum has empty decode queues.

Evidence: the exchange argument; on random and named instances the exact optimum equals the exact
optimum with q_d = 0 imposed; sharpness, an instance that violates the condition and whose every
optimum has q_d > 0. Control: instances that violate the condition, on which equality must fail.
"""

from __future__ import annotations

import random
from fractions import Fraction

from ...fluid import bundled_value_without_decode_queue, plan
from ...theory import (
    Gpu,
    IterationTime,
    Prices,
    RequestClass,
    ServingNetwork,
    exact_rates,
    instance,
)
from ...theory.claims import Grade
from ...theory.derivations import decode_buffer_elimination
from ...theory.random_networks import random_network
from ...theory.steady_state import decode_buffer_condition
from ..derived import derivation_evidence
from ..verdict import Evidence, Findings, Level, Report, outcome_of
from .instances import NAMED_INSTANCES

RANDOM_INSTANCES = {"quick": 60, "full": 600}
SEED = 20260203
_CONDITION = "kappa >= (B-1)/B"


def check(level: Level, report: Report) -> Findings:
    """Decide the claim at ``level``."""
    report("exchange argument")
    derivation = decode_buffer_elimination.derivation()
    report("exact optima with and without decode queues")
    count = RANDOM_INSTANCES[level]
    satisfying = random_instances(count, satisfying=True)
    violating = random_instances(count, satisfying=False)
    named = [instance(name) for name in NAMED_INSTANCES]
    return Findings(
        evidence=(
            derivation_evidence(derivation),
            _equality(f"{count} random instances", satisfying),
            *(_equality(name, [n]) for name, n in zip(NAMED_INSTANCES, named, strict=True)),
            _sharpness(),
        ),
        controls={
            "the condition dropped": (
                derivation_evidence(derivation, without=_CONDITION),
                _equality(f"{count} random instances with kappa < (B-1)/B", violating),
            )
        },
    )


def random_instances(count: int, *, satisfying: bool) -> list[ServingNetwork]:
    """Random networks with one to four classes that satisfy, or violate, the condition.

    Half of them are bound by prefill as well as by decode.
    """
    generator = random.Random(SEED)
    gammas = (10.0, 50.0) if satisfying else (0.5, 10.0)
    found: list[ServingNetwork] = []
    while len(found) < count:
        network = random_network(
            generator,
            1 + len(found) % 4,
            gamma_range=gammas,
            prefill_bound=len(found) % 8 >= 4,
        )
        if decode_buffer_condition(exact_rates(network)) == satisfying:
            found.append(network)
    return found


def sharp_instance() -> ServingNetwork:
    """One class, B = 2, kappa = 1/10: solo decode is so slow that idle prefills pay."""
    return ServingNetwork(
        gpu=Gpu("slow solo decode", IterationTime(alpha=0, beta=0.001, gamma=1), 2, 100),
        prices=Prices(prefill=0, decode=1),
        classes=(RequestClass("only", 100, 10, 20, 1),),
    )


def value_lost_without_queue(network: ServingNetwork) -> Fraction:
    """Exact optimum minus exact optimum with q_d = 0 imposed; never negative."""
    return plan(network).value - bundled_value_without_decode_queue(network)


def _equality(name: str, networks: list[ServingNetwork]) -> Evidence:
    lost = [value_lost_without_queue(network) for network in networks]
    unequal = sum(difference != 0 for difference in lost)
    return Evidence(
        name=f"optimum is attained with q_d = 0: {name}",
        grade=Grade.CERTIFIED,
        outcome=outcome_of(unequal == 0),
        claimed="equal exact optima",
        computed=f"{len(lost) - unequal} of {len(lost)} equal",
        slack=0.0 - float(max(lost)),
        detail="two certified rational optima per instance",
    )


def _sharpness() -> Evidence:
    network = sharp_instance()
    rate = exact_rates(network)
    violated = not decode_buffer_condition(rate)
    lost = value_lost_without_queue(network)
    best = plan(network).value
    return Evidence(
        name="the condition is needed: an instance whose every optimum has q_d > 0",
        grade=Grade.CERTIFIED,
        outcome=outcome_of(violated and lost > 0),
        claimed=f"R* > R* with q_d = 0 at kappa = {rate.kappa} < 1/2",
        computed=f"{best} > {best - lost}",
        slack=float(lost),
        detail="one class, B = 2; certified rational optima",
    )
