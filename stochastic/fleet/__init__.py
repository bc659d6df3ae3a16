"""The fleet: every GPU with its own batch, every request in its slot."""

from .fleet_kernel import run_fleet
from .model import Fleet, FleetRun, Physics, build_fleet
from .reference import run_fleet_reference
from .requests import (
    Lengths,
    Requests,
    exponential_lengths,
    fixed_lengths,
    poisson_requests,
    requests_at,
)
from .simulation import FleetRunner, Workload, simulate_fleet, simulator_for
from .traffic import azure_lengths, azure_network, independent_tenants, one_tenant

__all__ = [
    "Fleet",
    "FleetRun",
    "FleetRunner",
    "Lengths",
    "Physics",
    "Requests",
    "Workload",
    "azure_lengths",
    "azure_network",
    "build_fleet",
    "exponential_lengths",
    "fixed_lengths",
    "independent_tenants",
    "one_tenant",
    "poisson_requests",
    "requests_at",
    "run_fleet",
    "run_fleet_reference",
    "simulate_fleet",
    "simulator_for",
]
