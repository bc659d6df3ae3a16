"""What is sampled: the chain and its simulators, calibration from measurements, traces."""

from .calibration import (
    IterationTimeFit,
    PublishedFit,
    calibrate,
    fit_iteration_time,
    linear_window,
    measured_tables,
    published_fits,
    read_measurements,
)
from .chain import COUNTS, EVENTS, Chain, Run, build_chain, replication_generator
from .erlang_a import ErlangA, erlang_a
from .exact_chain import StationaryLaw, stationary_law
from .exact_shared_chain import SharedLaw, shared_stationary_law
from .kernel import run_kernel
from .least_squares import LawFit, fit_law, powers_of
from .optimal_control.control import OptimalControl, optimal_control
from .reference import run_reference
from .replications import Estimate, Interval
from .simulation import simulate
from .workload import (
    ArrivalStatistics,
    arrival_statistics,
    azure_arrivals,
    azure_classes,
    azure_quantiles,
    classes_to_toml,
    pool_traces,
    read_trace,
    request_classes,
    token_quantiles,
)

__all__ = [
    "COUNTS",
    "EVENTS",
    "ArrivalStatistics",
    "Chain",
    "ErlangA",
    "Estimate",
    "Interval",
    "IterationTimeFit",
    "LawFit",
    "OptimalControl",
    "PublishedFit",
    "Run",
    "SharedLaw",
    "StationaryLaw",
    "arrival_statistics",
    "azure_arrivals",
    "azure_classes",
    "azure_quantiles",
    "build_chain",
    "calibrate",
    "classes_to_toml",
    "erlang_a",
    "fit_iteration_time",
    "fit_law",
    "linear_window",
    "measured_tables",
    "optimal_control",
    "pool_traces",
    "powers_of",
    "published_fits",
    "read_measurements",
    "read_trace",
    "replication_generator",
    "request_classes",
    "run_kernel",
    "run_reference",
    "shared_stationary_law",
    "simulate",
    "stationary_law",
    "token_quantiles",
]
