"""Where the theorems need their hypotheses: each is dropped in turn, and the conclusion decided.

A table of theorems against hypotheses. An entry says that the conclusion survives without the
hypothesis, fails, or never depended on it, and is decided by a minimal exact example or a short
proof. There is one piece of evidence per decided entry; open entries, and those argued in words,
are in the data with what is known. Propositions 10.14 and 13.5 are taken as stated wherever an
entry shows that their other hypotheses hold.

Controls: the counterexamples, run where the hypothesis does hold, must lose; equalities must break
under another policy; and a proof must break without the one thing that it needs.
"""

from __future__ import annotations

from fractions import Fraction

from ....theory.derivations import decode_line
from ...verdict import Evidence, Findings, Level, Report, outcome_of
from . import decode_proofs, failures, fluid_entries, policy_entries, prefill_proofs, survivals
from .decision import Decision
from .figures import speed_ratio_figure, speed_ratio_study
from .instances import (
    OUTPUTS_PAY,
    backlogged,
    both_waiting,
    common_and_rare,
    never_planned,
    one_class,
    patient_and_impatient,
    rarely_prefilling,
    rates_the_wrong_way_round,
    valuable_and_filler,
)
from .table import Entry
from .weighted_pools import backlogged_optimum, weighted_pools_hold, weighted_pools_hold_plan

RANDOM_INSTANCES = {"quick": 12, "full": 300}
"""Networks that meet kappa >= (B-1)/B, and as many that do not, for Theorem 4.2."""


def check(level: Level, report: Report) -> Findings:
    """Decide the claim at ``level``."""
    report("short proofs and exact examples")
    entries = table(RANDOM_INSTANCES[level])
    report("the same examples where the hypotheses hold")
    return Findings(
        evidence=tuple(entry.evidence for entry in entries if entry.status.decided),
        controls={
            name: tuple(_evidence(name, decision) for decision in decisions)
            for name, decisions in controls().items()
        },
        figures={"Revenue against kappa": lambda: speed_ratio_figure(speed_ratio_study())},
        data={"entries": entries},
    )


def table(random_count: int) -> tuple[Entry, ...]:
    """All entries, theorem by theorem; ``random_count`` is for Theorem 4.2."""
    return (
        *fluid_entries.proposition_3_2(),
        *fluid_entries.theorem_3_1(),
        *fluid_entries.lemmas_10_1_and_10_3(),
        *fluid_entries.lemma_10_5_prefill(),
        *fluid_entries.lemma_10_5_prefill_queue(),
        *fluid_entries.proposition_10_14(),
        *policy_entries.theorem_4_1(),
        *policy_entries.theorem_4_2(random_count),
        *policy_entries.theorem_5_1(),
        *policy_entries.proposition_13_5(),
        *policy_entries.upper_bound(),
    )


def controls() -> dict[str, tuple[Decision, ...]]:
    """The arguments run where they must lose: the hypothesis holds, or the proof lacks its one."""
    ordinary = valuable_and_filler(kappa=1)
    planned, two = never_planned(valuable_arrival_rate=0.8), backlogged()
    return {
        "theta > 0 holds": (
            failures.decode_queue_persists(one_class(patience_rate=1)),
            failures.prefill_queue_persists(one_class(patience_rate=1)),
            failures.no_stationary_law(one_class(patience_rate=1), 2),
            failures.priority_misses_optimum(patient_and_impatient(patience_rate=1)),
            failures.starving_earns_more(patient_and_impatient(patience_rate=1)),
        ),
        "the load is met": (failures.program_has_no_point(one_class()),),
        "kappa >= (B-1)/B holds": (
            failures.optimum_needs_a_decode_queue(ordinary),
            failures.gate_earns_less(ordinary),
            failures.buffer_fills(ordinary),
            failures.dedicated_gpus_earn_more(rarely_prefilling(kappa=1)),
            survivals.pools_hold_restricted_plan(ordinary),
            weighted_pools_hold_plan(ordinary),
        ),
        "q_p* > 0 holds": (failures.prefill_exceeds_target_forever(both_waiting()),),
        "the class served in full prefills fastest": (
            failures.prefill_exceeds_target_forever(rates_the_wrong_way_round()),
        ),
        "the initial queue is of order n": (failures.initial_state_unbounded(1),),
        "the plan's decode queue in one buffer": (
            survivals.one_buffer_rests_at_plan(valuable_and_filler(kappa=0.1)),
        ),
        "uniform weights in the pools": (
            weighted_pools_hold(two, backlogged_optimum(two), uniform=True),
        ),
        "a priority order that is none": (
            survivals.proved(
                decode_proofs.priority_attains_separate_value(), without=decode_proofs.IN_ORDER
            ),
        ),
        "x* > 0 holds": (failures.unplanned_prefills_linger(planned),),
        "the optimum is unique": (
            survivals.every_optimum_earns_it(ordinary),
            failures.split_of_another_optimum_overloads(ordinary),
        ),
        "q_d* = 0 in every optimum": (
            failures.tracked_queue_costs(ordinary),
            failures.tracked_queue_grows(ordinary),
            failures.pools_miss_targets(ordinary),
        ),
        "targets beyond the arrivals": (
            survivals.proved(
                prefill_proofs.prefill_tracking(), without=prefill_proofs.WITHIN_ARRIVALS
            ),
        ),
        "one mixed GPU in ten too many": (
            survivals.gate_stands_at_plan(ordinary, extra_share=Fraction(1, 10)),
        ),
        "the class without a plan served first": (
            survivals.gate_stands_at_plan(never_planned(), first_class=1),
        ),
        "kappa < (B-1)/B": (survivals.gate_stands_at_plan(valuable_and_filler(kappa=0.1)),),
        "initial backlog at critical load": (
            failures.initial_backlog_never_ends(one_class(patience_rate=1)),
            failures.initial_backlog_never_ends(
                one_class(patience_rate=1, prices=OUTPUTS_PAY), "separate"
            ),
        ),
        "x -> x* holds": (failures.buffer_fills(never_planned()),),
        "a Lipschitz penalty": (
            failures.penalty_does_not_follow(
                one_class(arrival_rate=6, patience_rate=1), failures.excess
            ),
        ),
        "both pools full": (
            failures.pool_has_room_and_a_line(common_and_rare(rare_arrival_rate=2)),
        ),
        "room inside": (survivals.pools_hold_without_room(one_class(patience_rate=1)),),
        "more planned than fits": (
            survivals.proved(decode_line.two_speeds(), without=decode_line.FITS),
            survivals.proved(decode_line.one_speed(), without=decode_line.FITS),
        ),
    }


def _evidence(name: str, decision: Decision) -> Evidence:
    return Evidence(
        name=name,
        grade=decision.grade,
        outcome=outcome_of(decision.holds),
        claimed=decision.claimed,
        computed=decision.computed,
        detail=decision.detail,
    )
