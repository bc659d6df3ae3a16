"""What is said: primitives and units, rates, programs, policies, claims and derivations."""

from .configuration import instance, instance_names, network_from_tables, read_network
from .errors import CertificateError, InfeasibleError, InvalidInput, RangeWarning
from .network import (
    Gpu,
    IterationTime,
    Prices,
    RequestClass,
    ServingNetwork,
    exact,
)
from .policies import (
    Disaggregated,
    FirstComeFirstServed,
    FirstComeImmediate,
    GateAndRoute,
    GatedImmediate,
    GatedPrefillFirst,
    GeneralSliAware,
    Policy,
    PrioritizeAndRoute,
    SliAware,
    SlotFilling,
    StallingPrefillFirst,
    policy_named,
    policy_names,
)
from .published_networks import published_networks
from .rates import Rates, exact_rates, rates

__all__ = [
    "CertificateError",
    "Disaggregated",
    "FirstComeFirstServed",
    "FirstComeImmediate",
    "GateAndRoute",
    "GatedImmediate",
    "GatedPrefillFirst",
    "GeneralSliAware",
    "Gpu",
    "InfeasibleError",
    "InvalidInput",
    "IterationTime",
    "Policy",
    "Prices",
    "PrioritizeAndRoute",
    "RangeWarning",
    "Rates",
    "RequestClass",
    "ServingNetwork",
    "SliAware",
    "SlotFilling",
    "StallingPrefillFirst",
    "exact",
    "exact_rates",
    "instance",
    "instance_names",
    "network_from_tables",
    "policy_named",
    "policy_names",
    "published_networks",
    "rates",
    "read_network",
]
