"""Entries on the optimality of policies (Sections 4, 5 and 13) and on R* as a bound."""

from __future__ import annotations

from ....theory.derivations import decode_line
from ..decode_buffer_elimination import random_instances, sharp_instance
from . import decode_proofs, failures, rounding, survivals
from .instances import (
    OUTPUTS_PAY,
    backlogged,
    backlogged_and_unplanned,
    both_waiting,
    common_and_rare,
    never_planned,
    one_class,
    patient_and_impatient,
    rarely_prefilling,
    served_in_full,
    twins,
    valuable_and_filler,
)
from .shared import (
    IN_PART,
    at_plan,
    either_optimum,
    infeasible,
    line_drains,
    rounded,
    tracking,
    without_plan,
)
from .table import (
    CONDITION,
    CONTINUOUS,
    FULL_POOLS,
    INITIAL,
    LOAD,
    ONE_PATIENT,
    PATIENCE,
    PLANNED,
    PROPOSITION_13_5,
    QUEUE,
    ROUNDING,
    SLATER,
    THEOREM_4_1,
    THEOREM_4_2,
    THEOREM_5_1,
    UNIQUE,
    UPPER_BOUND,
    WAITING,
    Entry,
    Status,
    entry,
)
from .weighted_pools import (
    backlogged_optimum,
    weighted_pools_hold,
    weighted_pools_hold_plan,
    with_unplanned_class,
)


def theorem_4_1() -> tuple[Entry, ...]:
    """Gate-and-route earns R*."""
    return (
        entry(
            THEOREM_4_1,
            PATIENCE,
            Status.SURVIVES,
            "the buffer need not drain: its content is bounded, and bounded over T vanishes",
            tracking(),
            survivals.proved(decode_proofs.decode_content_bounded()),
            survivals.gate_stands_at_plan(one_class()),
        ),
        entry(
            THEOREM_4_1,
            ONE_PATIENT,
            Status.PARTLY,
            IN_PART,
            tracking(),
            *line_drains(),
        ),
        without_plan(THEOREM_4_1),
        entry(
            THEOREM_4_1,
            CONDITION,
            Status.FAILS,
            "one buffer loses requests of all classes alike, the plan only those worth least",
            failures.gate_earns_less(valuable_and_filler(kappa=0.1)),
        ),
        *(
            entry(
                THEOREM_4_1,
                hypothesis,
                Status.SURVIVES,
                "x -> x* without it, and Proposition 10.14 asks no more",
                tracking(),
                at_plan(hypothesis),
            )
            for hypothesis in (WAITING, PLANNED)
        ),
        entry(
            THEOREM_4_1,
            UNIQUE,
            Status.SURVIVES,
            "for every optimum with q_d* = 0",
            tracking(),
            either_optimum(),
        ),
        entry(
            THEOREM_4_1,
            QUEUE,
            Status.FAILS,
            "the optimum tells who should abandon, the buffer does not",
            failures.tracked_queue_costs(valuable_and_filler(kappa=0.5)),
        ),
        entry(
            THEOREM_4_1,
            ROUNDING,
            Status.SURVIVES,
            "it costs at most a constant over n, on the paper's instance a large one: 1.5 % of R* "
            "at n = 500",
            rounded(rounding.BUNDLED_REVENUE),
        ),
        entry(
            THEOREM_4_1,
            INITIAL,
            Status.FAILS,
            "revenue up to any T comes from the initial backlog",
            failures.initial_backlog_never_ends(one_class(arrival_rate=4, patience_rate=1)),
        ),
    )


def theorem_4_2(random_count: int) -> tuple[Entry, ...]:
    """Prioritize-and-route earns the value of program (42)."""
    below, above = (
        random_instances(random_count, satisfying=satisfying) for satisfying in (False, True)
    )
    return (
        entry(
            THEOREM_4_2,
            PATIENCE,
            Status.FAILS,
            "the program must serve patient requests, the priority order starves them and earns "
            "more than the program's value",
            failures.priority_misses_optimum(patient_and_impatient()),
        ),
        without_plan(THEOREM_4_2),
        entry(
            THEOREM_4_2,
            CONDITION,
            Status.NOT_NEEDED,
            "a decode is paid by its work in every class, so that it is all one who abandons",
            survivals.proved(decode_proofs.priority_attains_separate_value()),
            survivals.priority_earns_optimum(
                [*below, sharp_instance(), valuable_and_filler(kappa=0.1)], "kappa < (B-1)/B"
            ),
        ),
        *(
            entry(
                THEOREM_4_2,
                hypothesis,
                Status.SURVIVES,
                "revenue depends on the plan through sum x* alone",
                survivals.priority_earns_optimum(networks, label),
            )
            for hypothesis, networks, label in (
                (WAITING, [served_in_full(), *above], "some classes served in full"),
                (PLANNED, [never_planned(), patient_and_impatient(patience_rate=1)], "x* = 0"),
                (UNIQUE, [twins(), valuable_and_filler(kappa=0.5)], "several optima"),
            )
        ),
        entry(
            THEOREM_4_2,
            QUEUE,
            Status.NOT_NEEDED,
            "separate pricing plans a decode queue as a rule",
            survivals.priority_earns_optimum(
                [served_in_full(), valuable_and_filler(kappa=0.1), valuable_and_filler(kappa=0.5)],
                "plans with q_d* > 0",
            ),
        ),
        entry(
            THEOREM_4_2,
            ROUNDING,
            Status.SURVIVES,
            "it costs at most a constant over n",
            rounded(rounding.SEPARATE_REVENUE),
        ),
        entry(
            THEOREM_4_2,
            INITIAL,
            Status.FAILS,
            "output revenue up to any T comes from the initial backlog",
            failures.initial_backlog_never_ends(
                one_class(arrival_rate=4, patience_rate=1, prices=OUTPUTS_PAY), "separate"
            ),
        ),
    )


def theorem_5_1() -> tuple[Entry, ...]:
    """SLI-aware occupancies follow the plan."""
    return (
        entry(
            THEOREM_5_1,
            PATIENCE,
            Status.FAILS,
            "there is no stationary law to speak of, at any n with n sum x* an integer",
            failures.no_stationary_law(one_class(), 2),
        ),
        entry(
            THEOREM_5_1,
            ONE_PATIENT,
            Status.PARTLY,
            "Proposition 12.1 holds: a pool has one speed and a line of its own, which one class "
            "that gives up drains; y -> y* follows. A stationary law is not shown to exist",
            tracking(),
            survivals.proved(decode_line.one_speed()),
        ),
        without_plan(THEOREM_5_1),
        entry(
            THEOREM_5_1,
            CONDITION,
            Status.NOT_NEEDED,
            "q_d = 0 is imposed on the program, which then plans for the capacity there is",
            survivals.pools_hold_restricted_plan(valuable_and_filler(kappa=0.1)),
        ),
        *(
            entry(THEOREM_5_1, hypothesis, Status.SURVIVES, reason, tracking(), *more)
            for hypothesis, reason, more in (
                (
                    WAITING,
                    "the same gate; the pools see x alone",
                    (survivals.pools_hold_plan(served_in_full()),),
                ),
                (
                    PLANNED,
                    "the same gate; its solo probability 0/0 plays no role",
                    (survivals.pools_hold_plan(never_planned()),),
                ),
                (
                    UNIQUE,
                    "towards the tracked optimum, if x* and p_s are taken from the same one; "
                    "with p_s of another a pool is overloaded",
                    (
                        survivals.pools_hold_every_optimum(twins()),
                        failures.split_of_another_optimum_overloads(twins()),
                    ),
                ),
            )
        ),
        entry(
            THEOREM_5_1,
            QUEUE,
            Status.FAILS,
            "a pool in order of arrival abandons whoever comes; hence the general policy",
            failures.pools_miss_targets(valuable_and_filler(kappa=0.5)),
        ),
        entry(
            THEOREM_5_1,
            ROUNDING,
            Status.SURVIVES,
            "pools change by B/n slots at most",
            rounded(rounding.POOLS),
        ),
        entry(
            THEOREM_5_1,
            SLATER,
            Status.SURVIVES,
            "the policy asks for an optimum, and a program with linear constraints has one with "
            "prices whether or not there is room inside",
            survivals.pools_hold_without_room(both_waiting()),
            survivals.pools_hold_without_room(served_in_full()),
        ),
        entry(
            THEOREM_5_1,
            CONTINUOUS,
            Status.FAILS,
            "M rounded up is beyond a jump at x* for every n with n x* not an integer, so that the "
            "objective has no limit; occupancies tend to the plan all the same, and a bounded "
            "penalty that is continuous there is enough, Lipschitz or not",
            failures.penalty_does_not_follow(
                one_class(arrival_rate=6, patience_rate=1), failures.jump
            ),
        ),
    )


def proposition_13_5() -> tuple[Entry, ...]:
    """The general SLI-aware policy follows a plan with decode queues.

    Proposition 13.5 is taken as stated wherever x -> x* and its targets have q_d* > 0.
    """
    two, three = backlogged(), backlogged_and_unplanned()
    return (
        entry(
            PROPOSITION_13_5,
            PATIENCE,
            Status.FAILS,
            "a full pool neither loses nor gains decode requests: any queue stays",
            failures.decode_queue_persists(one_class()),
        ),
        without_plan(PROPOSITION_13_5),
        entry(
            PROPOSITION_13_5,
            CONDITION,
            Status.NOT_NEEDED,
            "it is the remedy: the general policy holds a plan with q_d* > 0, so that R* is "
            "earned where gate-and-route fails",
            weighted_pools_hold_plan(valuable_and_filler(kappa=0.1)),
        ),
        entry(
            PROPOSITION_13_5,
            QUEUE,
            Status.SURVIVES,
            "two classes, one in balance; with more, the modes are contractions in the 1-norm with "
            "a class in common that always waits",
            survivals.proved(decode_proofs.pool_with_a_class_in_balance()),
            weighted_pools_hold_plan(valuable_and_filler(kappa=0.1)),
        ),
        *(
            entry(
                PROPOSITION_13_5,
                hypothesis,
                Status.SURVIVES,
                "the same gate; of prefill the pools ask x -> x* alone",
                tracking(),
                held,
            )
            for hypothesis, held in (
                (WAITING, weighted_pools_hold(two, backlogged_optimum(two))),
                (PLANNED, weighted_pools_hold(three, with_unplanned_class(three))),
                (
                    UNIQUE,
                    weighted_pools_hold(
                        two, backlogged_optimum(two), backlogged_optimum(two, reverse=True)
                    ),
                ),
            )
        ),
        entry(
            PROPOSITION_13_5,
            ROUNDING,
            Status.SURVIVES,
            "pools change by B/n slots at most",
            rounding.rounding_vanishes([two], rounding.WEIGHTED_POOLS),
        ),
        entry(
            PROPOSITION_13_5,
            FULL_POOLS,
            Status.FAILS,
            "a work-conserving pool does not keep a line before free slots, which an SLI on solo "
            "occupancies asks for (of one class here); without SLIs the hypothesis is implied if "
            "some class has q_d* > 0, gives up and pays",
            failures.pool_has_room_and_a_line(common_and_rare()),
            survivals.proved(decode_proofs.waiting_fills_the_pools()),
        ),
    )


def upper_bound() -> tuple[Entry, ...]:
    """R* bounds what any policy earns."""
    return (
        entry(
            UPPER_BOUND,
            PATIENCE,
            Status.FAILS,
            "program (40) forces patient classes to be served; a policy need not",
            failures.starving_earns_more(patient_and_impatient()),
        ),
        entry(UPPER_BOUND, LOAD, Status.FAILS, "there is no R*", infeasible()),
        entry(
            UPPER_BOUND,
            CONDITION,
            Status.FAILS,
            "if GPUs set aside for mixing keep the mixed speed; not under the paper's capacities",
            failures.dedicated_gpus_earn_more(rarely_prefilling()),
        ),
    )
