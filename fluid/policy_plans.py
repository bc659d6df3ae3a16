"""The plan that a policy is meant to track, by the policy's name."""

from __future__ import annotations

from collections.abc import Sequence

from ..theory.errors import InvalidInput
from ..theory.network import ServingNetwork
from ..theory.policies import Disaggregated, PrioritizeAndRoute, policy_names
from ..theory.sli import Sli, linear_slis
from .disaggregation import disaggregated_plan
from .planning import Plan, plan


def plan_for_policy(
    network: ServingNetwork,
    policy_name: str,
    pricing: str | None = None,
    slis: Sequence[Sli] = (),
    *,
    decode_queue_allowed: bool = False,
) -> Plan:
    """The plan of ``network`` for the policy called ``policy_name``.

    Parameters
    ----------
    pricing
        As for `plan`; by default separate for prioritize-and-route and bundled for the others.
    slis, decode_queue_allowed
        As for `plan`. Disaggregated pools have a program of their own and take no SLIs.

    Raises
    ------
    InvalidInput
        An unknown policy or pricing, or SLIs that a policy cannot track.
    InfeasibleError, CertificateError
        As `plan`.
    """
    if policy_name not in policy_names():
        raise InvalidInput("policy", policy_name, f"one of {', '.join(policy_names())}")
    if pricing is None:
        pricing = "separate" if policy_name == PrioritizeAndRoute.name else "bundled"
    linear = linear_slis(slis)
    if len(linear) < len(slis):
        raise InvalidInput("slis", "jain", "linear SLIs where a policy is to track the plan")
    if policy_name == Disaggregated.name:
        if slis:
            raise InvalidInput("slis", linear[0].name, "no SLI for disaggregated pools")
        return disaggregated_plan(network, pricing)
    return plan(network, pricing, linear, decode_queue_allowed=decode_queue_allowed)
