"""Entries on the program, the fluid limit and the fluid's lemmas (Sections 3 and 10)."""

from __future__ import annotations

from ....theory.claims import Grade
from ..decode_buffer_elimination import sharp_instance
from . import decode_proofs, failures, prefill_proofs, rounding, survivals
from .decision import Decision
from .instances import (
    never_planned,
    one_class,
    patient_and_impatient,
    served_in_full,
    twins,
    valuable_and_filler,
)
from .shared import (
    IN_PART,
    at_plan,
    below_target,
    either_optimum,
    line_drains,
    queue_limit,
    rounded,
    tracking,
    without_plan,
)
from .table import (
    CONDITION,
    INITIAL,
    LEMMA_10_1,
    LEMMA_10_5_PREFILL,
    LEMMA_10_5_QUEUE,
    LOAD,
    ONE_PATIENT,
    PATIENCE,
    PLANNED,
    PROPOSITION_3_2,
    PROPOSITION_10_14,
    QUEUE,
    ROUNDING,
    THEOREM_3_1,
    TRACKED,
    UNIQUE,
    WAITING,
    Entry,
    Status,
    entry,
)


def proposition_3_2() -> tuple[Entry, ...]:
    """Decode-buffer elimination."""
    return (
        entry(
            PROPOSITION_3_2,
            PATIENCE,
            Status.SURVIVES,
            "the queue of a class that never abandons is in no row of the program and is emptied",
            Decision(
                decode_proofs.without_patience_no_decode_queue_in_program(),
                Grade.PROVED,
                "q_d in no row at theta = 0",
                "checked on the program in symbols",
                "program (40)",
            ),
            survivals.optimum_has_no_decode_queue([one_class(), patient_and_impatient()]),
        ),
        without_plan(PROPOSITION_3_2),
        entry(
            PROPOSITION_3_2,
            CONDITION,
            Status.FAILS,
            "a prefill that nobody decodes keeps a GPU in its faster mode",
            failures.optimum_needs_a_decode_queue(sharp_instance()),
        ),
        *(
            entry(
                PROPOSITION_3_2,
                hypothesis,
                Status.NOT_NEEDED,
                "the exchange argument starts from any feasible point",
                survivals.optimum_has_no_decode_queue([network]),
            )
            for hypothesis, network in (
                (WAITING, served_in_full()),
                (PLANNED, never_planned()),
                (UNIQUE, twins()),
            )
        ),
    )


def theorem_3_1() -> tuple[Entry, ...]:
    """The fluid limit."""
    return (
        *(
            entry(
                THEOREM_3_1,
                hypothesis,
                Status.ARGUED,
                "event counts are bounded by arrivals and the initial state; that tightness and "
                "the fluid equations need no more is argued in words",
                survivals.proved(prefill_proofs.bounded_event_counts()),
            )
            for hypothesis in (PATIENCE, LOAD, CONDITION)
        ),
        entry(
            THEOREM_3_1,
            INITIAL,
            Status.FAILS,
            "a limit at time 0 is part of the conclusion",
            failures.initial_state_unbounded(2),
        ),
    )


def lemmas_10_1_and_10_3() -> tuple[Entry, ...]:
    """Prefill occupancies below target, prefill queues positive, from some time on."""
    return (
        entry(
            LEMMA_10_1,
            PATIENCE,
            Status.FAILS,
            "a class that never abandons is served in full, hence never passes its target",
            failures.prefill_exceeds_target_forever(served_in_full(patience_rate=0)),
        ),
        without_plan(LEMMA_10_1),
        entry(
            LEMMA_10_1,
            CONDITION,
            Status.NOT_NEEDED,
            "decode does not act back on prefill",
            *below_target(),
        ),
        entry(
            LEMMA_10_1,
            WAITING,
            Status.FAILS,
            "while the class served in full catches up, the others exceed their targets; the "
            "paper's own instance is of this kind",
            failures.prefill_exceeds_target_forever(served_in_full()),
        ),
        entry(
            LEMMA_10_1,
            PLANNED,
            Status.FAILS,
            "prefills of an unplanned class that are there at the start fade but never end",
            failures.unplanned_prefills_linger(never_planned()),
        ),
        entry(
            LEMMA_10_1,
            UNIQUE,
            Status.NOT_NEEDED,
            "it speaks of the optimum that is tracked",
            *below_target(),
        ),
    )


def lemma_10_5_prefill() -> tuple[Entry, ...]:
    """Convergence of prefill occupancies."""
    return (
        without_plan(LEMMA_10_5_PREFILL),
        *(
            entry(LEMMA_10_5_PREFILL, hypothesis, status, reason, tracking(), *more)
            for hypothesis, status, reason, more in (
                (PATIENCE, Status.SURVIVES, "patience does not enter the proof", ()),
                (CONDITION, Status.NOT_NEEDED, "decode does not act back on prefill", ()),
                (
                    WAITING,
                    Status.SURVIVES,
                    "a class without a queue rises by its arrivals; the excess of others decays "
                    "at the same rate",
                    (at_plan(WAITING),),
                ),
                (
                    PLANNED,
                    Status.SURVIVES,
                    "whether unplanned classes are never served, or only when no other waits",
                    (at_plan(PLANNED),),
                ),
                (
                    UNIQUE,
                    Status.SURVIVES,
                    "towards the optimum that is tracked",
                    (either_optimum(),),
                ),
                (
                    ROUNDING,
                    Status.SURVIVES,
                    "the limit has the share sum x*",
                    (rounded(rounding.PREFILL),),
                ),
            )
        ),
    )


def lemma_10_5_prefill_queue() -> tuple[Entry, ...]:
    """Convergence of prefill queues."""
    return (
        entry(
            LEMMA_10_5_QUEUE,
            PATIENCE,
            Status.FAILS,
            "at critical load a line that nobody leaves stays as long as it is",
            failures.prefill_queue_persists(one_class()),
        ),
        without_plan(LEMMA_10_5_QUEUE),
        *(
            entry(LEMMA_10_5_QUEUE, hypothesis, status, reason, tracking(), queue_limit(), *more)
            for hypothesis, status, reason, more in (
                (CONDITION, Status.NOT_NEEDED, "decode does not act back on prefill", ()),
                (
                    WAITING,
                    Status.SURVIVES,
                    "queues follow x linearly, at the slower of theta and min mu_p",
                    (at_plan(WAITING),),
                ),
                (
                    PLANNED,
                    Status.SURVIVES,
                    "its queue tends to lambda / theta",
                    (at_plan(PLANNED),),
                ),
                (
                    UNIQUE,
                    Status.SURVIVES,
                    "towards the optimum that is tracked",
                    (either_optimum(),),
                ),
                (
                    ROUNDING,
                    Status.SURVIVES,
                    "the limit has the share sum x*",
                    (rounded(rounding.PREFILL_QUEUE),),
                ),
            )
        ),
    )


def proposition_10_14() -> tuple[Entry, ...]:
    """The decode buffer drains."""
    return (
        entry(
            PROPOSITION_10_14,
            PATIENCE,
            Status.FAILS,
            "where both decode rows are tight the decode work of a waiting line is conserved; with "
            "A* < C* it would drain in finite time",
            failures.decode_queue_persists(one_class()),
        ),
        entry(
            PROPOSITION_10_14,
            ONE_PATIENT,
            Status.PARTLY,
            IN_PART,
            *line_drains(),
        ),
        without_plan(PROPOSITION_10_14),
        entry(
            PROPOSITION_10_14,
            TRACKED,
            Status.FAILS,
            "prefill of another mixture brings in more decode work than the slots do",
            failures.buffer_fills(never_planned(), first_class=1),
        ),
        entry(
            PROPOSITION_10_14,
            CONDITION,
            Status.FAILS,
            "the plan itself brings in more decode work than the slots do",
            failures.buffer_fills(valuable_and_filler(kappa=0.1)),
        ),
        *(
            entry(PROPOSITION_10_14, hypothesis, Status.SURVIVES, reason, tracking(), *more)
            for hypothesis, reason, more in (
                (WAITING, "x -> x* is all it asks of prefill", (at_plan(WAITING),)),
                (PLANNED, "x -> x* is all it asks of prefill", (at_plan(PLANNED),)),
                (UNIQUE, "for every optimum with q_d* = 0", (either_optimum(),)),
            )
        ),
        entry(
            PROPOSITION_10_14,
            QUEUE,
            Status.FAILS,
            "A* <= C* fails for such an optimum, even with kappa = (B-1)/B",
            failures.tracked_queue_grows(valuable_and_filler(kappa=0.5)),
        ),
        entry(
            PROPOSITION_10_14,
            ROUNDING,
            Status.SURVIVES,
            "a mixed GPU too many leaves a queue of order 1/n",
            rounded(rounding.DECODE_QUEUE),
        ),
    )
