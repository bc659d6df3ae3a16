"""Backlogs on which the checks decide: all small ones, and random ones, each with its optimum."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass

from ...fluid.backlog import Optimum, SmallBacklogs, optimal_latencies, optimum
from ...theory.backlog import Backlog
from ...theory.backlog.model import Integers


@dataclass(frozen=True)
class Solved:
    """A backlog with its certified optimum."""

    backlog: Backlog
    best: Optimum


@dataclass(frozen=True)
class SolvedFamily:
    """Small backlogs of one size with their optimal latencies, shape (k,)."""

    backlogs: SmallBacklogs
    optima: Integers


def all_solved_one_by_one(most_requests: int, most_memory: int) -> Iterator[Solved]:
    """Every backlog of at most so many requests under at most so much memory, up to symmetry."""
    for memory in range(1, most_memory + 1):
        for requests in range(1, most_requests + 1):
            listed = SmallBacklogs.all_of(requests, memory)
            yield from (_solved(listed[place]) for place in range(len(listed)))


def all_solved(most_requests: int, most_memory: int) -> Iterator[SolvedFamily]:
    """The same backlogs, by size, with their optima from the compiled search."""
    for memory in range(1, most_memory + 1):
        for requests in range(1, most_requests + 1):
            listed = SmallBacklogs.all_of(requests, memory)
            yield SolvedFamily(listed, optimal_latencies(*arrays(listed)))


def arrays(listed: SmallBacklogs) -> tuple[Integers, Integers, Integers]:
    """Prompts, outputs and memories, as the compiled search takes them."""
    return listed.prompts, listed.outputs, listed.memories


def random_backlog(
    generator: random.Random,
    *,
    most_requests: int = 8,
    memories: tuple[int, int] = (8, 30),
    largest_share: float = 1.0,
) -> Backlog:
    """A backlog with 2 to ``most_requests`` requests of peak at most ``largest_share`` of M.

    Half of the backlogs have prompts of any length, half mostly none: memory is then a
    triangle over time, where the bounds are closest.
    """
    memory = generator.randint(*memories)
    largest = max(1, int(largest_share * memory))
    triangles = generator.random() < 0.5
    pairs = []
    for _ in range(generator.randint(2, most_requests)):
        output = generator.randint(1, largest)
        prompt = generator.randint(0, largest - output)
        pairs.append((0 if triangles and generator.random() < 0.8 else prompt, output))
    return Backlog.of(pairs, memory)


def random_solved(count: int, seed: int, **ranges: object) -> Iterator[Solved]:
    """``count`` random backlogs (see `random_backlog`) with certified optima."""
    generator = random.Random(seed)
    for _ in range(count):
        yield _solved(random_backlog(generator, **ranges))  # type: ignore[arg-type]


def _solved(backlog: Backlog) -> Solved:
    best = optimum(backlog)
    if not best.is_optimal:
        raise ArithmeticError("the exact search stopped early on a small backlog")
    return Solved(backlog, best)
