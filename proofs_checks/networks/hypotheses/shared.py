"""Decisions that many entries of the table share, each made once."""

from __future__ import annotations

from functools import cache

from ....theory.derivations import decode_line
from . import failures, prefill_proofs, rounding, survivals
from .decision import Decision
from .instances import (
    never_planned,
    one_class,
    served_in_full,
    twins,
    valuable_and_filler,
)
from .table import LOAD, WAITING, Entry, Status, entry


@cache
def tracking() -> Decision:
    """The gate tracks x*; neither patience nor decode nor queues enter the proof."""
    return survivals.proved(
        prefill_proofs.prefill_tracking(), absent=("theta", "kappa", "B", "q_p^*", "mu_m", "q_d")
    )


@cache
def queue_limit() -> Decision:
    """Prefill queues follow; decode does not enter the proof."""
    return survivals.proved(prefill_proofs.prefill_queue_limit(), absent=("kappa", "B", "q_d"))


@cache
def below_target() -> tuple[Decision, ...]:
    """From some time on x <= x* and q_p > 0 if q_p* > 0; decode does not enter the proofs."""
    absent = ("kappa", "B", "q_d")
    return (
        tracking(),
        queue_limit(),
        survivals.proved(prefill_proofs.prefill_below_target(), absent=absent),
    )


@cache
def at_plan(hypothesis: str) -> Decision:
    """Gate-and-route stands at the plan where q_p,i* = 0 for some class, or x_i* = 0."""
    network = served_in_full() if hypothesis == WAITING else never_planned()
    return survivals.gate_stands_at_plan(network)


@cache
def either_optimum() -> Decision:
    """Two optima, either of which earns R* if tracked."""
    return survivals.every_optimum_earns_it(twins())


@cache
def line_drains() -> tuple[Decision, ...]:
    """One planned class that gives up drains the decode buffer: two proofs, in part."""
    return (
        survivals.proved(decode_line.two_speeds()),
        survivals.proved(decode_line.one_speed()),
    )


IN_PART = (
    "proved for two output lengths, for patience ordered like them, and for kappa = 1; open for "
    "three and more lengths else"
)


def rounded(deviation: rounding.Deviation) -> Decision:
    """M rounded up or down on three networks."""
    networks = [served_in_full(), valuable_and_filler(kappa=1), never_planned()]
    return rounding.rounding_vanishes(networks, deviation)


@cache
def infeasible() -> Decision:
    """Overload without abandonment."""
    return failures.program_has_no_point(one_class(arrival_rate=6))


def without_plan(theorem: str) -> Entry:
    """The entry of a theorem about a plan that does not exist."""
    reason = "no plan exists, so there is nothing to track"
    return entry(theorem, LOAD, Status.FAILS, reason, infeasible())
