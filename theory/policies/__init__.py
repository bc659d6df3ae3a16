"""Policies as values: a gate, a routing and a layout over the plan that they track."""

from __future__ import annotations

from ..errors import InvalidInput
from ..steady_state import OccupancyTargets
from .descriptors import Gate, Layout, Policy, Routing
from .finite_size import SlotFilling
from .planned import (
    FirstComeFirstServed,
    GateAndRoute,
    GeneralSliAware,
    PrioritizeAndRoute,
    SliAware,
)
from .unplanned import (
    Disaggregated,
    FirstComeImmediate,
    GatedImmediate,
    GatedPrefillFirst,
    StallingPrefillFirst,
)

_POLICIES: dict[str, type[Policy]] = {
    policy.name: policy
    for policy in (
        GateAndRoute,
        FirstComeFirstServed,
        PrioritizeAndRoute,
        SliAware,
        GeneralSliAware,
        FirstComeImmediate,
        GatedImmediate,
        GatedPrefillFirst,
        StallingPrefillFirst,
        Disaggregated,
        SlotFilling,
    )
}

_PAPERS_NAMES = {"gg-sp": "gate-and-route", "fg-sp": "fcfs"}
"""Codes of Section 6.3 for policies that have a name of their own."""


def policy_names() -> tuple[str, ...]:
    """Names that `policy_named` understands."""
    return (*_POLICIES, *_PAPERS_NAMES)


def policy_named(name: str, plan: OccupancyTargets) -> Policy:
    """The policy called ``name``, tracking ``plan``."""
    own_name = _PAPERS_NAMES.get(name, name)
    if own_name not in _POLICIES:
        raise InvalidInput("policy", name, f"one of {', '.join(policy_names())}")
    return _POLICIES[own_name](plan)


__all__ = [
    "Disaggregated",
    "FirstComeFirstServed",
    "FirstComeImmediate",
    "Gate",
    "GateAndRoute",
    "GatedImmediate",
    "GatedPrefillFirst",
    "GeneralSliAware",
    "Layout",
    "Policy",
    "PrioritizeAndRoute",
    "Routing",
    "SliAware",
    "SlotFilling",
    "StallingPrefillFirst",
    "policy_named",
    "policy_names",
]
