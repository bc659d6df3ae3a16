"""What is sampled: the chain and its simulators, calibration from measurements, traces."""

from .chain import COUNTS, EVENTS, Chain, Run, build_chain, replication_generator
from .kernel import run_kernel
from .reference import run_reference
from .simulation import Estimate, Interval, simulate

__all__ = [
    "COUNTS",
    "EVENTS",
    "Chain",
    "Estimate",
    "Interval",
    "Run",
    "build_chain",
    "replication_generator",
    "run_kernel",
    "run_reference",
    "simulate",
]
