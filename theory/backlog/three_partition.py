r"""Minimising total latency is strongly NP-hard: a reduction from 3-Partition.

*3-Partition.* Given 3m integers :math:`a_i` with :math:`\sum a_i = m B` and
:math:`B/4 < a_i < B/2`, can they be split into m triples that add up to B each? It is NP-complete
even if B is bounded by a polynomial in m.

*Reduction.* One request :math:`(s_i, o_i) = (a_i - 1, 1)` per number, of peak :math:`a_i`, and
M = B. Is there a schedule with total latency at most :math:`3 (1 + \dots + m) = 3 m (m + 1) / 2`?

*From a partition to a schedule.* The k-th triple starts at k - 1 and completes at k; each step
holds B.

*From a schedule to a partition.* Every request runs in one step. Four numbers add up to more than
B, so that at most three requests run per step, and after step t at least 3 (m - t) are left. The
total latency is the sum over t = 0, 1, ... of the requests left after step t, hence at least the
threshold; and equal to it only if each of the steps 1, ..., m runs exactly three. Each then holds
at most B and together they hold m B: each holds B.

So hardness needs prompts of different lengths only: all outputs are 1.

Source: that the problem is NP-hard is a statement of arXiv 2508.06133, whose reduction is not
public; this one is derived. 3-Partition: Garey and Johnson (1979), problem SP15.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import combinations, combinations_with_replacement
from typing import cast

import sympy

from ..derivations.kernel import Derivation, Identity, Inequality
from ..errors import InvalidInput, require_integer
from .model import Backlog, Request, Schedule, require_feasible, total_latency

Triple = tuple[int, int, int]
"""Places of three numbers, from 0, ascending."""


@dataclass(frozen=True)
class ThreePartition:
    """An instance of 3-Partition.

    Raises
    ------
    InvalidInput
        Not 3m positive integers, a sum that m does not divide, or a number that is not strictly
        between a quarter and a half of the target.
    """

    numbers: tuple[int, ...]

    def __post_init__(self) -> None:
        object.__setattr__(self, "numbers", tuple(self.numbers))
        for place, number in enumerate(self.numbers, 1):
            require_integer(f"number {place}", number, "dimensionless", at_least=1)
        if not self.numbers or len(self.numbers) % 3:
            raise InvalidInput("numbers", self.numbers, "3, 6, 9, ... of them")
        if sum(self.numbers) % self.triples:
            allowed = f"a multiple of the {self.triples} triples"
            raise InvalidInput("sum of the numbers", sum(self.numbers), allowed)
        for place, number in enumerate(self.numbers, 1):
            if not self.target < 4 * number < 2 * self.target:
                allowed = f"strictly between {self.target}/4 and {self.target}/2"
                raise InvalidInput(f"number {place}", number, allowed)

    @property
    def triples(self) -> int:
        """m, the number of triples."""
        return len(self.numbers) // 3

    @property
    def target(self) -> int:
        """B, what each triple has to add up to."""
        return sum(self.numbers) // self.triples

    @property
    def latency_threshold(self) -> int:
        """3 m (m + 1) / 2 steps: attained by a schedule exactly if there is a partition."""
        return 3 * self.triples * (self.triples + 1) // 2

    def to_backlog(self) -> Backlog:
        """The backlog of the reduction, its requests in the order of the numbers."""
        return Backlog(tuple(Request(number - 1, 1) for number in self.numbers), self.target)


def solve(instance: ThreePartition) -> tuple[Triple, ...] | None:
    """A partition by exhaustive search, None if there is none.

    The first number left is tried with every pair of others that completes it to the target.
    """
    return _complete(instance, tuple(range(len(instance.numbers))))


def schedule_of(instance: ThreePartition, partition: tuple[Triple, ...]) -> Schedule:
    """The schedule that runs one triple per step; its total latency is the threshold.

    Raises
    ------
    InvalidInput
        Some number is in no triple, or in several.
    InvalidSchedule
        A triple adds up to more than the target.
    """
    places = sorted(place for triple in partition for place in triple)
    if places != list(range(len(instance.numbers))):
        raise InvalidInput("partition", partition, "every number in exactly one triple")
    step_of = {place: step for step, triple in enumerate(partition) for place in triple}
    schedule = Schedule(tuple(step_of[place] for place in range(len(instance.numbers))))
    require_feasible(instance.to_backlog(), schedule)
    return schedule


def partition_of(instance: ThreePartition, schedule: Schedule) -> tuple[Triple, ...]:
    """The partition in a schedule whose total latency is at most the threshold.

    Raises
    ------
    InvalidInput
        The total latency exceeds the threshold.
    InvalidSchedule
        The schedule is not feasible.
    """
    latency = total_latency(instance.to_backlog(), schedule)
    if latency > instance.latency_threshold:
        raise InvalidInput(
            "total latency", latency, f"at most the threshold of {instance.latency_threshold} steps"
        )
    steps = range(instance.triples)
    running = [
        tuple(place for place, start in enumerate(schedule.starts) if start == step)
        for step in steps
    ]
    return cast("tuple[Triple, ...]", tuple(running))


def instances(triples: int, target: int) -> Iterator[ThreePartition]:
    """Every instance with so many triples and this target, up to the order of the numbers."""
    allowed = range(target // 4 + 1, -(-target // 2))
    for numbers in combinations_with_replacement(allowed, 3 * triples):
        if sum(numbers) == triples * target:
            yield ThreePartition(numbers)


def derivation() -> Derivation:
    """The counting in the step from a schedule to a partition."""
    target = sympy.Symbol("B", integer=True, positive=True)
    triples, step = sympy.symbols("m t", integer=True, nonnegative=True)
    done = sympy.Symbol("D", nonnegative=True)
    numbers = sympy.symbols("a_1:5", integer=True, positive=True)
    return Derivation(
        title="a schedule within the threshold runs three requests per step",
        hypotheses=(
            *((f"{a} > B/4", 4 * a - target - 1) for a in numbers),
            ("at most three requests per step", 3 * step - done),
        ),
        steps=(
            Inequality(
                "four numbers add up to more than B",
                target + 1,
                sympy.Add(*numbers),
                tuple((sympy.Rational(1, 4), 4 * a - target - 1) for a in numbers),
            ),
            Inequality(
                "after step t at least 3 (m - t) requests are left",
                3 * (triples - step),
                3 * triples - done,
                ((3 * step - done,),),
            ),
            Identity(
                "the requests left at least add up to the threshold",
                sympy.summation(3 * (triples - step), (step, 0, triples - 1)),
                3 * triples * (triples + 1) / 2,
            ),
        ),
        conclusion="total latency is at least 3m(m+1)/2, with equality only for three per step",
    )


def _complete(instance: ThreePartition, left: tuple[int, ...]) -> tuple[Triple, ...] | None:
    if not left:
        return ()
    first, *others = left
    for second, third in combinations(others, 2):
        triple = (first, second, third)
        if sum(instance.numbers[place] for place in triple) == instance.target:
            rest = _complete(instance, tuple(p for p in others if p not in triple))
            if rest is not None:
                return (triple, *rest)
    return None
