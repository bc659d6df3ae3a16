"""Minimising total latency is NP-hard: the reduction from 3-Partition, both directions.

Evidence: the counting argument; for every 3-Partition instance up to a stated target, with and
without a partition, the exact optimum is at most the threshold exactly if a partition exists, and
partition and schedule turn into each other. Controls: a budget one token larger, or smaller, than
the target, with which the equivalence must fail.
"""

from __future__ import annotations

from dataclasses import dataclass

from ...fluid.backlog import optimum
from ...theory.backlog import Backlog, total_latency
from ...theory.backlog.three_partition import (
    ThreePartition,
    derivation,
    instances,
    partition_of,
    schedule_of,
    solve,
)
from ...theory.claims import Grade
from ..derived import derivation_evidence
from ..verdict import Evidence, Findings, Level, Report, outcome_of

LARGEST_TARGET = {"quick": {1: 30, 2: 30, 3: 21}, "full": {1: 60, 2: 48, 3: 30, 4: 21}}
"""By level and by the number of triples."""


@dataclass(frozen=True)
class Decision:
    """One instance: whether it has a partition, and the optimum of its backlog."""

    instance: ThreePartition
    has_partition: bool
    latency: int

    @property
    def agrees(self) -> bool:
        """Whether the optimum is within the threshold exactly if there is a partition."""
        return (self.latency <= self.instance.latency_threshold) == self.has_partition


def check(level: Level, report: Report) -> Findings:
    """Decide the claim at ``level``."""
    report("counting argument")
    evidence = [derivation_evidence(derivation())]
    decided: list[Decision] = []
    for triples, largest in LARGEST_TARGET[level].items():
        report(f"every instance with {3 * triples} numbers")
        decisions = decide(triples, largest)
        evidence.append(_equivalence(f"{3 * triples} numbers, B <= {largest}", decisions))
        decided += decisions
    report("partitions into schedules and back")
    evidence.append(_both_ways(decided))
    report("controls")
    return Findings(
        evidence=tuple(evidence),
        controls={
            name: (_equivalence(name, decide(2, LARGEST_TARGET["quick"][2], extra)),)
            for name, extra in (("M = B + 1", 1), ("M = B - 1", -1))
        },
        data={"decisions": tuple(decided)},
    )


def decide(triples: int, largest_target: int, extra_memory: int = 0) -> list[Decision]:
    """Every instance with so many triples: exhaustive search beside the exact optimum.

    ``extra_memory`` tokens are added to the budget of the reduction; 0 is the reduction itself.
    """
    decisions = []
    for target in range(3, largest_target + 1):
        for instance in instances(triples, target):
            backlog = Backlog(instance.to_backlog().requests, target + extra_memory)
            best = optimum(backlog)
            if not best.is_optimal:
                raise ArithmeticError(f"no exact optimum of {instance.numbers}")
            decisions.append(Decision(instance, solve(instance) is not None, best.latency))
    return decisions


def _equivalence(name: str, decisions: list[Decision]) -> Evidence:
    agreeing = sum(decision.agrees for decision in decisions)
    yes = sum(decision.has_partition for decision in decisions)
    return Evidence(
        name=f"total latency within the threshold iff a partition exists: {name}",
        grade=Grade.EXHAUSTED,
        outcome=outcome_of(agreeing == len(decisions)),
        claimed=f"{yes} instances with a partition, {len(decisions) - yes} without",
        computed=f"{agreeing} of {len(decisions)} decided alike",
        detail="exhaustive search for partitions; exact optima, independent of each other",
    )


def _both_ways(decisions: list[Decision]) -> Evidence:
    done = 0
    solvable = [decision.instance for decision in decisions if decision.has_partition]
    for instance in solvable:
        partition = solve(instance) or ()
        from_partition = schedule_of(instance, partition)
        at_threshold = (
            total_latency(instance.to_backlog(), from_partition) == instance.latency_threshold
        )
        from_optimum = partition_of(instance, optimum(instance.to_backlog()).schedule)
        sums = {sum(instance.numbers[i] for i in triple) for triple in from_optimum}
        done += at_threshold and sums == {instance.target}
    return Evidence(
        name="a partition becomes a schedule at the threshold, an optimal schedule a partition",
        grade=Grade.CERTIFIED,
        outcome=outcome_of(done == len(solvable)),
        claimed=f"{len(solvable)} instances with a partition",
        computed=f"{done} both ways",
        detail="schedules validated step by step, triples added up",
    )
